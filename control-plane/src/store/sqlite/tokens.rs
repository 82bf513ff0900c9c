//! Spent client tokens, as rows. Called by the thread that owns the connection.

use fleetmesh_mesh::store::{ClientToken, Spent, TOKEN_LIFE, TOKEN_PIECE};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::{MeshName, ResourceId};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::names;
use super::table::TableError;

/// Tokens beyond the bound that one commit forgets at most. More than it spends, so that a bound that was lowered is reached.
const TRIM: u32 = 16;

/// [`TokenColumns`], in our table.
const SELECT: &str = "token, request, spent_at, uid, version, last_updated_at,
    CASE WHEN mesh LIKE 'account/%' THEN mesh ELSE 'mesh/' || mesh END || rest AS id";

/// [`TokenColumns`], in the table of programs from before.
const SELECT_OLD: &str = "token, request, spent_at, id, uid, version, last_updated_at";

/// A row that was read and not yet looked at.
struct TokenColumns {
    token: String,
    request: Vec<u8>,
    spent_at: i64,
    id: String,
    uid: String,
    version: i64,
    last_updated_at: i64,
}

impl TokenColumns {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            token: row.get("token")?,
            request: row.get("request")?,
            spent_at: row.get("spent_at")?,
            id: row.get("id")?,
            uid: row.get("uid")?,
            version: row.get("version")?,
            last_updated_at: row.get("last_updated_at")?,
        })
    }

    fn into_spent(self) -> Result<Spent, TableError> {
        let Self { token: _, request, spent_at: _, id: text, uid, version, last_updated_at } = self;
        let row = |reason: String| TableError::Row { id: format!("a client token of {text}"), reason };
        let id = names::parse(&text).map_err(row)?;
        let last_updated_at =
            Timestamp::from_millisecond(last_updated_at).map_err(|error| row(error.to_string()))?;
        Ok(Spent { request, id, uid, version, last_updated_at })
    }
}

/// What the client token was spent on in `mesh` within [`TOKEN_LIFE`] before `now`. What others spend in their meshes takes no
/// token from it.
pub fn spent(
    connection: &Connection,
    mesh: &MeshName,
    token: &str,
    now: Timestamp,
) -> Result<Option<Spent>, TableError> {
    let sql = format!("SELECT {SELECT} FROM spent_token WHERE mesh = ?1 AND token = ?2 AND spent_at > ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let columns =
        statement.query_row(params![names::mesh(mesh), token, limit(now)], TokenColumns::read).optional()?;
    columns.map(TokenColumns::into_spent).transpose()
}

/// Remembers that `token` was spent on the request that made `record`, in the place of what it may have been spent on before. Of
/// the record's mesh the last `bound` tokens are remembered.
pub fn spend(
    connection: &Connection,
    token: &ClientToken,
    record: &Record,
    now: Timestamp,
    bound: u32,
) -> Result<(), TableError> {
    let number = store(connection, &token.token, &Spent::on(token, record), now.as_millisecond())?;
    let sql = "DELETE FROM spent_token WHERE mesh = ?1 AND token IN
        (SELECT token FROM spent_token WHERE mesh = ?1 AND number <= ?2 ORDER BY number LIMIT ?3)";
    let beyond = number.saturating_sub(bound.into());
    connection.prepare_cached(sql)?.execute(params![names::mesh(record.id.mesh_name()), beyond, TRIM])?;
    Ok(())
}

/// Stores it as the last of its mesh; gives its number.
fn store(connection: &Connection, token: &str, spent: &Spent, spent_at: i64) -> Result<i64, TableError> {
    let Spent { request, id, uid, version, last_updated_at } = spent;
    let (mesh, text) = (names::mesh(id.mesh_name()), names::stored(id));
    let within = names::stored(&ResourceId::mesh(id.mesh_name()));
    let rest = text.strip_prefix(&within).unwrap_or_default();
    let last = "SELECT number FROM spent_token WHERE mesh = ?1 ORDER BY number DESC LIMIT 1";
    let last: Option<i64> =
        connection.prepare_cached(last)?.query_row([&mesh], |row| row.get(0)).optional()?;
    let number = last.unwrap_or(0).saturating_add(1);
    let sql = "INSERT OR REPLACE INTO spent_token VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.execute(params![
        token,
        request,
        spent_at,
        mesh,
        number,
        rest,
        uid,
        version,
        last_updated_at.as_millisecond()
    ])?;
    Ok(number)
}

/// Forgets the tokens of a mesh that is deleted. Those of another resource end with it ([`Spent::current`]) and go in their time.
pub fn forget_mesh(connection: &Connection, mesh: &MeshName) -> Result<(), TableError> {
    connection.prepare_cached("DELETE FROM spent_token WHERE mesh = ?1")?.execute([names::mesh(mesh)])?;
    Ok(())
}

/// Forgets [`TOKEN_PIECE`] tokens at the most of those that were spent [`TOKEN_LIFE`] before `now`, the oldest first; says whether
/// it was as many. Also on a full disk: what a row leaves is free for others.
pub fn forget(connection: &Connection, now: Timestamp) -> Result<bool, TableError> {
    let sql = "DELETE FROM spent_token WHERE (mesh, token) IN
        (SELECT mesh, token FROM spent_token WHERE spent_at <= ?1 ORDER BY spent_at, mesh, token LIMIT ?2)";
    let piece = || connection.prepare_cached(sql)?.execute(params![limit(now), TOKEN_PIECE]);
    let forgotten = match piece() {
        Err(error) if is_full(&error) => {
            checkpoint(connection)?;
            piece()?
        }
        forgotten => forgotten?,
    };
    Ok(u32::try_from(forgotten).is_ok_and(|forgotten| forgotten >= TOKEN_PIECE))
}

/// Whether the disk is full.
pub fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Brings what is in the log into the database, as far as there is space: the next write begins at the log's start and takes
/// none. SQLite does so by itself only after a commit that succeeded.
pub fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
}

/// Until when what was spent is forgotten.
fn limit(now: Timestamp) -> i64 {
    now.saturating_sub(TOKEN_LIFE).unwrap_or(Timestamp::MIN).as_millisecond()
}

/// Takes over what a program from before kept, which is the whole answer of each token, in pieces. Nothing is lost if it is cut
/// off: the rest is taken over at the next start.
pub fn take_over(connection: &Connection, now: Timestamp) -> Result<(), TableError> {
    let mut taken: usize = 0;
    loop {
        let old: bool =
            connection.query_row("SELECT EXISTS (SELECT 1 FROM client_token)", (), |row| row.get(0))?;
        if !old {
            break;
        }
        taken += take_over_piece(connection, now)?;
    }
    if taken > 0 {
        tracing::info!(tokens = taken, "client tokens were taken over into the smaller table");
    }
    Ok(())
}

fn take_over_piece(connection: &Connection, now: Timestamp) -> Result<usize, TableError> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let sql = format!("SELECT {SELECT_OLD} FROM client_token ORDER BY spent_at, token LIMIT ?1");
    let old: Vec<TokenColumns> = transaction
        .prepare_cached(&sql)?
        .query_map([TOKEN_PIECE], TokenColumns::read)?
        .collect::<Result<_, _>>()?;
    // First they go, so that a full disk has room for what takes their place.
    for columns in &old {
        transaction.prepare_cached("DELETE FROM client_token WHERE token = ?1")?.execute([&columns.token])?;
    }
    let taken = old.len();
    for columns in old.into_iter().filter(|columns| columns.spent_at > limit(now)) {
        let (token, spent_at) = (columns.token.clone(), columns.spent_at);
        store(&transaction, &token, &columns.into_spent()?, spent_at)?;
    }
    transaction.commit()?;
    Ok(taken)
}
