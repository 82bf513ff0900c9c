"""moto's KMS, which signs what it is given as a message: with MessageType=DIGEST it hashes the digest once more, and what it
signs verifies nowhere. This lets it sign the digest itself, as AWS documents it for Sign: a digest has to be as long as the
algorithm's. Import it before the server starts."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms.exceptions import ValidationException
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey

HASHES = {"ECDSA_SHA_256": hashes.SHA256(), "ECDSA_SHA_384": hashes.SHA384(), "ECDSA_SHA_512": hashes.SHA512()}

answered, signed = KmsResponse.sign, ECDSAPrivateKey.sign


class Digest(bytes):
    """A message that is a digest."""


def answer(self):
    """Takes the place of the answer to Sign."""
    if self._get_param("MessageType") == "DIGEST":
        found = self._get_param
        self._get_param = lambda name, *default: Digest(found(name)) if name == "Message" else found(name, *default)
    return answered(self)


def sign(self, message, signing_algorithm):
    """Takes the place of how a key of an elliptic curve signs."""
    if not isinstance(message, Digest) or signing_algorithm not in self.valid_signing_algorithms:
        return signed(self, message, signing_algorithm)
    algorithm = HASHES[signing_algorithm]
    if len(message) != algorithm.digest_size:
        raise ValidationException(f"Digest is invalid length for algorithm {signing_algorithm}.")
    return self.private_key.sign(message, ec.ECDSA(Prehashed(algorithm)))


KmsResponse.sign = answer
ECDSAPrivateKey.sign = sign
