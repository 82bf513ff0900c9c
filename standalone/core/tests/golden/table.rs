use fleetmesh_standalone_core::table::{Columns, IncludeObject, TableOptions};
use serde_json::Value;

use super::{lines, resource, resources};

/// Whether a text is how long ago something was, which changes while one looks at it.
fn is_age(cell: &Value) -> bool {
    let text = cell.as_str().unwrap_or_default();
    text.ends_with(['s', 'm', 'h', 'd', 'y']) && text.starts_with(|first: char| first.is_ascii_digit())
}

/// `table` with its ages in whole days or larger, as two clocks that differ by seconds have them in common.
fn without_seconds(table: &Value) -> Value {
    let mut table = table.clone();
    for row in table["rows"].as_array_mut().expect("rows") {
        for cell in row["cells"].as_array_mut().expect("cells") {
            if is_age(cell) && !cell.as_str().is_some_and(|age| age.contains('y')) {
                *cell = "some time".into();
            }
        }
    }
    table
}

#[test]
fn tables_have_the_api_servers_columns_and_cells() {
    let resources = resources();
    let mut filled = 0;
    for line in lines(include_str!("data/table.jsonl")) {
        let resource = resource(&resources, &line);
        let columns = Columns::of(resource).expect("columns").expect("a resource with rows");
        let objects: Vec<&Value> = line["objects"].as_array().expect("objects").iter().collect();
        let now = line["now"].as_str().expect("a time").parse().expect("a time");
        let options = TableOptions { version: "v1", include: IncludeObject::None, headers: true, now };
        let table = columns.table(line["metadata"].clone(), &objects, options);
        assert_eq!(without_seconds(&table), without_seconds(&line["table"]), "{}", resource.plural);
        filled += usize::from(!objects.is_empty());
    }
    assert!(filled > 12, "{filled} have rows");
}
