//! get and list.

use axum::response::Response;
use fleetmesh_standalone_core::event;
use fleetmesh_standalone_core::resource::Verb;
use fleetmesh_standalone_core::route::{ListOptions, Subresource};
use fleetmesh_standalone_core::selector::Selector;
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::list::{self, Page, Query};
use fleetmesh_standalone_core::store::{Stored, scale};
use http::header::ACCEPT;

use super::view::{ListMetadata, View};
use super::{ApiRequest, answer};

impl ApiRequest<'_> {
    /// The form of the answer.
    pub(super) fn view(&self) -> Result<View, Status> {
        let is_watch = self.route.verb == Verb::Watch;
        let include = self.parameters.get("includeObject");
        View::new(&self.route.resource, self.header(ACCEPT), include, is_watch)
    }

    pub(super) fn get(&self) -> Result<Response, Status> {
        let view = self.view()?;
        let stored = self.stored()?;
        match (&self.route.subresource, &self.resource().scale) {
            (Some(Subresource::Scale), Some(paths)) => {
                scale::check(paths, &stored.value())?;
                Ok(answer::value(200, &scale::read(paths, &stored.value())))
            }
            _ => view.stored(200, &stored),
        }
    }

    /// Which of the stored objects of the request's span it means.
    pub(super) fn selector(&self) -> Result<Selection, Status> {
        let (labels, fields) = (self.parameters.get("labelSelector"), self.parameters.get("fieldSelector"));
        let selector = Selector::parse(self.resource(), labels, fields);
        let selector = selector.map_err(|error| Status::bad_request(error.to_string()))?;
        Ok(Selection { selector, is_converted: self.resource().group == "events.k8s.io" })
    }

    /// The namespace that all objects of the request are in, if it is one; empty for objects without one.
    pub(super) fn one_namespace(&self) -> Option<String> {
        if self.resource().namespaced { self.route.namespace.clone() } else { Some(String::new()) }
    }

    /// The name that all objects of the request have, if it is one.
    pub(super) fn one_name(&self, selection: &Selection) -> Option<String> {
        self.route.name.clone().or_else(|| selection.selector.name().map(str::to_owned))
    }

    pub(super) fn page(&self) -> Result<Page, Status> {
        let options = ListOptions::read(&self.parameters, false)?;
        let selection = self.selector()?;
        let query = Query {
            store: self.resource().store.clone(),
            namespace: self.one_namespace(),
            name: self.one_name(&selection),
            // A list of whatever revision is at hand is whole, as that of kube-apiserver's cache.
            limit: if options.revision == Some(0) && options.token.is_none() { 0 } else { options.limit },
            token: options.token,
            exact: options.revision.filter(|_| options.is_exact),
            counts: selection.selector.is_empty(),
        };
        self.api.store.read(|ledger| {
            if let Some(revision) = options.revision {
                list::not_newer(&ledger.state, revision)?;
            }
            list::page(ledger, &query, |object| selection.has(object))
        })
    }

    pub(super) fn list(&self) -> Result<Response, Status> {
        let view = self.view()?;
        let Page { objects, revision, next, remaining } = self.page()?;
        view.list(&ListMetadata { revision, next, remaining }, objects)
    }
}

/// Which objects a request means, of those in its span.
pub(super) struct Selection {
    selector: Selector,
    /// Whether what is stored is of another form of the same object.
    is_converted: bool,
}

impl Selection {
    pub(super) fn has(&self, object: &Stored) -> bool {
        self.selector.selects(object, || {
            let value = object.value();
            if self.is_converted { event::view(&value) } else { value }
        })
    }
}
