use fleetmesh_standalone_core::selector::Selector;

use super::{lines, resource, resources};

/// The same objects are selected, or the same is wrong with the selector.
#[test]
fn selectors_mean_what_they_mean_to_the_api_server() {
    let resources = resources();
    let mut count = 0;
    for line in lines(include_str!("data/selector.jsonl")) {
        let resource = resource(&resources, &line);
        let objects = line["objects"].as_array().expect("objects");
        for case in line["cases"].as_array().expect("cases") {
            let text = |name: &str| case[name].as_str().unwrap_or_default();
            let selected = Selector::parse(resource, text("labels"), text("fields"));
            let about = format!("{} {case}", resource.plural);
            match selected {
                Ok(selector) => {
                    let matching = objects.iter().filter(|object| selector.matches(object));
                    let names: Vec<_> = matching.map(|object| object["metadata"]["name"].clone()).collect();
                    assert_eq!(Some(&names), case["names"].as_array(), "{about}");
                }
                Err(error) => {
                    assert_eq!(case["message"], error.to_string(), "{about}");
                    assert_eq!(case["code"], 400, "{about}");
                }
            }
            count += 1;
        }
    }
    assert!(count > 400, "{count}");
}
