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

    /// Which of the stored objects the request means.
    pub(super) fn selector(&self) -> Result<impl Fn(&Stored) -> bool + Send + Sync + use<>, Status> {
        let (labels, fields) = (self.parameters.get("labelSelector"), self.parameters.get("fieldSelector"));
        let selector = Selector::parse(self.resource(), labels, fields);
        let selector = selector.map_err(|error| Status::bad_request(error.to_string()))?;
        let (name, is_all) = (self.route.name.clone(), selector.is_empty());
        let is_converted = self.resource().group == "events.k8s.io";
        Ok(move |object: &Stored| {
            if name.as_ref().is_some_and(|name| object.key.name != *name) {
                return false;
            }
            if is_all {
                return true;
            }
            let object = object.value();
            selector.matches(&if is_converted { event::view(&object) } else { object })
        })
    }

    pub(super) fn page(&self) -> Result<Page, Status> {
        let options = ListOptions::read(&self.parameters, false)?;
        let selects = self.selector()?;
        let query = Query {
            store: self.resource().store.clone(),
            namespace: self.route.namespace.clone(),
            // A list of whatever revision is at hand is whole, as that of kube-apiserver's cache.
            limit: if options.revision == Some(0) && options.token.is_none() { 0 } else { options.limit },
            token: options.token,
            exact: options.revision.filter(|_| options.is_exact),
        };
        self.api.store.read(|ledger| {
            if let Some(revision) = options.revision {
                list::not_newer(&ledger.state, revision)?;
            }
            list::page(&ledger.state, &ledger.history, &query, selects)
        })
    }

    pub(super) fn list(&self) -> Result<Response, Status> {
        let view = self.view()?;
        let page = self.page()?;
        let is_selected =
            ["labelSelector", "fieldSelector"].iter().any(|name| !self.parameters.get(name).is_empty());
        let metadata = ListMetadata {
            revision: page.revision,
            remaining: Some(page.remaining).filter(|left| *left > 0 && !is_selected),
            next: page.next,
        };
        view.list(&metadata, &page.objects)
    }
}
