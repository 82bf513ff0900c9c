//! What proxies refuse and run instead, by node, as rows. Called by the thread that owns the connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_model::ResourceId;
use rusqlite::Connection;

use super::names;
use super::table::TableError;

/// What is stored of each node.
pub type HeldByNode = BTreeMap<ResourceId, Arc<[u8]>>;

/// All rows.
pub fn load(connection: &Connection) -> Result<HeldByNode, TableError> {
    let mut statement = connection.prepare_cached("SELECT node, memory FROM held")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let mut held = HeldByNode::new();
    for row in rows {
        let (id, memory) = row?;
        let node = names::parse(&id).map_err(|reason| TableError::Row { id, reason })?;
        held.insert(node, memory.into());
    }
    Ok(held)
}

/// Stores `memory` of `node`, or forgets it.
pub fn store(connection: &Connection, node: &ResourceId, memory: Option<&[u8]>) -> Result<(), TableError> {
    let node = names::stored(node);
    match memory {
        Some(memory) => {
            connection
                .prepare_cached("INSERT OR REPLACE INTO held VALUES (?1, ?2)")?
                .execute((node, memory))?;
        }
        None => _ = connection.prepare_cached("DELETE FROM held WHERE node = ?1")?.execute([node])?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fleetmesh_model::{Account, ResourceId};

    use crate::store::sqlite::tests::open;
    use crate::views::Views;

    #[tokio::test]
    async fn what_is_held_is_there_after_a_restart_until_it_is_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let a = ResourceId::virtual_node("apps", "a");
        // Of the same names, in another account.
        let b = a.clone().owned_by(Account::Other("444455556666".parse().expect("an account")));
        let store = open(directory.path());
        assert_eq!((store.held(&a), store.holding()), (None, vec![]));
        for (node, memory) in [(&a, "old"), (&b, "other"), (&a, "new")] {
            store.hold(node.clone(), Some(memory.into())).await.expect("stored");
            assert_eq!(store.held(node).as_deref(), Some(memory.as_bytes()));
        }
        drop(store);
        let store = open(directory.path());
        assert_eq!(store.held(&a).as_deref(), Some(&b"new"[..]));
        assert_eq!(store.holding(), [a.clone(), b.clone()]);
        store.hold(a.clone(), None).await.expect("forgotten");
        drop(store);
        let store = open(directory.path());
        assert_eq!((store.held(&a), store.holding()), (None, vec![b]));
    }
}
