//! The operator's long-lived tasks. Pure.

use fleetmesh_model::Kind;
use fleetmesh_tasks::task_names;

task_names! {
    /// A long-lived task. If it panics or ends unasked, `/livez` fails and the operator ends with its name.
    pub enum Task {
        /// `/livez`, `/readyz` and `/metrics`.
        HealthPages = "health pages",
        /// See [`Task::watch`].
        Meshes = "watch of Mesh",
        /// See [`Task::watch`].
        VirtualNodes = "watch of VirtualNode",
        /// See [`Task::watch`].
        VirtualRouters = "watch of VirtualRouter",
        /// See [`Task::watch`].
        Routes = "watch of Route",
        /// See [`Task::watch`].
        VirtualServices = "watch of VirtualService",
        /// See [`Task::watch`].
        VirtualGateways = "watch of VirtualGateway",
        /// See [`Task::watch`].
        GatewayRoutes = "watch of GatewayRoute",
        /// Labels of namespaces.
        Namespaces = "watch of namespaces",
        /// What fleets may be made of.
        FleetClasses = "watch of FleetClasses",
        /// Whom rollouts may ask for numbers.
        MetricProviders = "watch of MetricProviders",
        /// Whom rollouts may ask whether they may go on.
        WebhookProviders = "watch of WebhookProviders",
        /// What permits references between namespaces.
        ReferenceGrants = "watch of ReferenceGrants",
        /// What people want of rollouts.
        RouteActions = "watch of RouteActions",
        /// Asks whether the endpoint answers.
        Endpoint = "look for the endpoint",
        /// Starts and ends the polls of meshes.
        Polls = "polls of the distribution",
        /// Asks the control plane how far the objects of one mesh have come.
        Poll = "poll of the distribution in a mesh",
        /// Answers RouteActions that name no Route.
        Strays = "RouteActions without a Route",
        /// Reconciles one object after another.
        Worker = "worker",
        /// Reconciles what is urgent.
        UrgentWorker = "worker for what is urgent",
    }
}

impl Task {
    /// The watch of `kind`.
    pub const fn watch(kind: Kind) -> Self {
        match kind {
            Kind::Mesh => Self::Meshes,
            Kind::VirtualNode => Self::VirtualNodes,
            Kind::VirtualRouter => Self::VirtualRouters,
            Kind::Route => Self::Routes,
            Kind::VirtualService => Self::VirtualServices,
            Kind::VirtualGateway => Self::VirtualGateways,
            Kind::GatewayRoute => Self::GatewayRoutes,
        }
    }
}
