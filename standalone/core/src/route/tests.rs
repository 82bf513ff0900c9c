use super::*;

fn resources() -> Resources {
    Resources::new(&fleetmesh_crds::all())
}

fn routed(method: &str, path: &str, query: &[(&str, &str)]) -> Result<Route, Status> {
    let pairs = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    route(&resources(), method, path, &Parameters::new(pairs))
}

fn words(method: &str, path: &str, query: &[(&str, &str)]) -> String {
    match routed(method, path, query) {
        Err(status) => status.code.to_string(),
        Ok(Route { resource, namespace, name, subresource, verb }) => {
            let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let part = subresource.map_or("", Subresource::name);
            format!("{verb} {} {} {} {part}", resource.plural, or(namespace), or(name)).trim_end().to_owned()
        }
    }
}

#[test]
fn paths_name_objects_and_methods_say_what_is_done_with_them() {
    let nodes = "/apis/fleetmesh.dev/v1alpha1/namespaces/apps/virtualnodes";
    let cases = [
        ("GET", "/api/v1/namespaces", "list namespaces - -"),
        ("GET", "/api/v1/namespaces/apps", "get namespaces - apps"),
        ("PUT", "/api/v1/namespaces/apps/status", "update namespaces - apps status"),
        ("PUT", "/api/v1/namespaces/apps/finalize", "update namespaces - apps finalize"),
        ("GET", "/api/v1/namespaces/apps/finalize", "405"),
        ("DELETE", "/api/v1/namespaces", "405"),
        ("GET", "/api/v1/namespaces/apps/secrets", "list secrets apps -"),
        ("GET", "/api/v1/namespaces/apps/secrets/a", "get secrets apps a"),
        ("GET", "/api/v1/namespaces/apps/secrets/a/status", "404"),
        ("GET", "/api/v1/secrets", "list secrets - -"),
        ("POST", "/api/v1/secrets", "405"),
        ("GET", "/api/v1/secrets/a", "404"),
        ("GET", "/api/v1/pods", "404"),
        ("GET", "/apis/fleetmesh.dev/v1alpha1/meshes/a", "get meshes - a"),
        ("DELETE", "/apis/fleetmesh.dev/v1alpha1/meshes", "deletecollection meshes - -"),
        ("POST", "/apis/fleetmesh.dev/v1alpha1/meshes/a", "create meshes - a"),
        ("POST", "/api/v1/namespaces/apps/secrets/a", "405"),
        ("GET", "/apis/fleetmesh.dev/v1alpha1/namespaces/a/meshes", "404"),
        ("GET", "/apis/fleetmesh.dev/v1/meshes", "404"),
        ("POST", nodes, "create virtualnodes apps -"),
        (
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            "create selfsubjectaccessreviews - -",
        ),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "405"),
        ("TRACE", nodes, "405"),
        ("GET", "/api/v1/namespaces//secrets", "404"),
    ];
    for (method, path, expected) in cases {
        assert_eq!(words(method, path, &[]), expected, "{method} {path}");
    }
    assert_eq!(words("PATCH", &format!("{nodes}/a/scale"), &[]), "patch virtualnodes apps a scale");
    assert_eq!(words("GET", nodes, &[("watch", "true")]), "watch virtualnodes apps -");
    assert_eq!(words("GET", nodes, &[("watch", "0")]), "list virtualnodes apps -");
}

#[test]
fn options_of_lists_have_to_make_sense_together() {
    let read = |query: &[(&str, &str)], is_watch| {
        let pairs = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ListOptions::read(&Parameters::new(pairs), is_watch).map_err(|status| status.code)
    };
    assert_eq!(read(&[("limit", "5")], false).map(|options| options.limit), Ok(5));
    let exact = ("resourceVersionMatch", "Exact");
    assert_eq!(read(&[exact], false), Err(422));
    assert_eq!(read(&[exact, ("resourceVersion", "0")], false), Err(422));
    assert!(read(&[exact, ("resourceVersion", "7")], false).is_ok_and(|options| options.is_exact));
    assert_eq!(read(&[("sendInitialEvents", "true")], true), Err(422));
    let newer = ("resourceVersionMatch", "NotOlderThan");
    assert!(read(&[("sendInitialEvents", "true"), newer], true).is_ok());
    assert_eq!(read(&[("sendInitialEvents", "true"), newer], false), Err(422));
    assert_eq!(read(&[("resourceVersion", "x")], false), Err(400));
    assert_eq!(read(&[("limit", "-1x")], false), Err(400));
    assert_eq!(read(&[("continue", "x"), ("resourceVersion", "7")], false), Err(400));
}
