"""moto's server, whose IAM enforcement also looks at resources and conditions.

moto authenticates a request (access key, signature), collects the caller's policies and looks for the action in them. Of
conditions it knows those of trust policies, and of resources existing roles; everything else is the resource `*`, which
no pattern of an ARN matches. This program lets moto do the first part and puts `needs` (what a request needs of whom) and
`policies` (what a document allows) in the place of the second; and it refuses in the words of the service that was called.

Takes moto_server's arguments. moto's own switch decides from when on it asks: INITIAL_NO_AUTH_ACTION_COUNT."""

import functools
import io
import json
import sys
from xml.sax.saxutils import escape

from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.access_control import IAMPolicy, IAMRequest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main
from werkzeug.exceptions import HTTPException

import digests  # noqa: F401  It changes moto.
import needs
import placed
import policies
import quick  # noqa: F401  It changes moto.

BODY = "fleetmesh.body"
received = DomainDispatcherApplication.__call__


class Refused(HTTPException):
    """The answer to a request that is not allowed."""

    def __init__(self, status, body):
        super().__init__(description=body)
        self.code = status


class Request(IAMRequest):
    """One request; moto has read its access key and checks its signature."""

    def __init__(self, response, **request):
        self._response = response
        # The bytes that were signed: moto would encode the form anew, otherwise than some clients do.
        super().__init__(**request | {"body": response.normalized_request.environ[BODY]})

    def check_action_permitted(self, resource):
        # As at AWS, nobody needs a permission to ask who he is.
        if self._action == "sts:GetCallerIdentity":
            return
        documents = [IAMPolicy(policy)._policy_json for policy in self._access_key.collect_policies()]
        for need in needs.of(self._response, self._service, self._action.split(":")[1]):
            if not policies.allow(documents, need):
                raise self._refusal(need)

    def _refusal(self, need):
        words = (
            f"User: {self._access_key.arn} is not authorized to perform: {need.action} on resource: {need.resource} "
            f"because no identity-based policy allows the {need.action} action"
        )
        if self._service != "ec2":
            return refusal(self._service, words)
        words = "You are not authorized to perform this operation. " + words
        return unlaunched(words) if need.while_launching else refusal("ec2", words)


def refusal(service, words):
    """The error that a service of this protocol answers."""
    if service in ("acm-pca", "kms", "ssm", "servicediscovery"):
        return Refused(400, json.dumps({"__type": "AccessDeniedException", "Message": words}))
    words = escape(words)
    if service == "ec2":
        error = f"<Errors><Error><Code>UnauthorizedOperation</Code><Message>{words}</Message></Error></Errors>"
        return Refused(403, f"<Response>{error}<RequestID>0</RequestID></Response>")
    error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{words}</Message></Error>"
    return Refused(403, f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>")


def unlaunched(words):
    """CreateFleet succeeds and tells of the launch that did not."""
    item = f"<item><errorCode>UnauthorizedOperation</errorCode><errorMessage>{escape(words)}</errorMessage></item>"
    return Refused(
        200,
        '<CreateFleetResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>0</requestId>'
        f"<fleetId>fleet-0</fleetId><errorSet>{item}</errorSet><fleetInstanceSet/></CreateFleetResponse>",
    )


def dispatch(self, environ, start_response):
    """Takes the place of the method that receives every request, and keeps its body."""
    if environ["PATH_INFO"] == placed.PATH:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [placed.account().encode()]
    environ[BODY] = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(environ[BODY])
    return received(self, environ, start_response)


def authorize(self, resource="*"):
    """Takes the place of the method by which every response of moto asks."""
    self._authenticate_and_authorize_action(functools.partial(Request, self), resource)


if __name__ == "__main__":
    DomainDispatcherApplication.__call__ = dispatch
    ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = authorize
    sys.exit(main())
