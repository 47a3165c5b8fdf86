//! Tables, brought up to date.

use fc_core::{Error, ErrorKind, Result};

use super::failure::failed;
use super::session::Session;

/// The versions of what one component keeps in a schema.
#[derive(Debug)]
pub(crate) struct Migrations {
    /// Whose tables.
    pub(crate) component: &'static str,
    /// What makes each version out of the one before; never changed once released.
    pub(crate) steps: &'static [&'static str],
}

/// Brings a schema up to date; one at a time, whoever else starts.
///
/// # Errors
///
/// `Unsupported` if a newer release has been here; whatever the server says.
pub(crate) async fn migrate(session: &Session, schema: &str, what: &Migrations) -> Result<()> {
    let client = &session.client;
    let told = |error| failed("migration", error, false);
    client.batch_execute("BEGIN").await.map_err(told)?;
    // A session that fails here is dropped by the caller, and its transaction with it.
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('fc migration ' || $1, 0))";
    client.query(lock, &[&schema]).await.map_err(told)?;
    let known = client.query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&schema]).await;
    if !known.map_err(told)?.get::<_, bool>(0) {
        client.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await.map_err(told)?;
    }
    let versions = "CREATE TABLE IF NOT EXISTS migration (component text NOT NULL, version int NOT \
                    NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (component, version))";
    client.batch_execute(versions).await.map_err(told)?;
    let newest = "SELECT coalesce(max(version), 0) FROM migration WHERE component = $1";
    let row = client.query_one(newest, &[&what.component]).await.map_err(told)?;
    let is: i32 = row.get(0);
    let done = usize::try_from(is).unwrap_or_default();
    if done > what.steps.len() {
        let known = what.steps.len();
        let said = format!("schema '{schema}' is of version {is}, this release knows {known}");
        return Err(Error::new(ErrorKind::Unsupported, said));
    }
    for (index, step) in what.steps.iter().enumerate().skip(done) {
        client.batch_execute(step).await.map_err(told)?;
        // A handful of steps.
        let version = index as i32 + 1;
        let insert = "INSERT INTO migration (component, version) VALUES ($1, $2)";
        client.execute(insert, &[&what.component, &version]).await.map_err(told)?;
    }
    client.batch_execute("COMMIT").await.map_err(told)
}
