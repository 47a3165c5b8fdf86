//! What the server's errors mean to a caller.

use fc_core::{Error, ErrorKind};
use tokio_postgres::error::{Severity, SqlState};

/// A failure of an operation that reached the server. `writes`: what is not known to have failed may be
/// done.
///
/// The server's own words are in the message (they name no value), its details, which may show one, are
/// not.
pub(crate) fn failed(what: &str, error: tokio_postgres::Error, writes: bool) -> Error {
    let kind = kind_of(&error, writes);
    let message = match error.as_db_error() {
        Some(said) => format!("{what}: {} ({})", said.message(), said.code().code()),
        None => format!("{what}: the connection to PostgreSQL is lost"),
    };
    Error::new(kind, message).with_source(error)
}

fn kind_of(error: &tokio_postgres::Error, writes: bool) -> ErrorKind {
    let lost = if writes { ErrorKind::Unknown } else { ErrorKind::ResourceThrottled };
    let Some(said) = error.as_db_error() else {
        return lost;
    };
    // Whatever ends the session may come after the commit.
    if said.parsed_severity() != Some(Severity::Error) {
        return lost;
    }
    let code = said.code();
    let class = code.code().get(..2).unwrap_or_default();
    // Out of resources; refused or cancelled by an operator; a conflict of transactions.
    let is_passing = matches!(class, "53" | "57" | "40")
        || *code == SqlState::LOCK_NOT_AVAILABLE
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION;
    if is_passing { ErrorKind::ResourceThrottled } else { ErrorKind::InternalServerError }
}

/// Whether the transaction lost to another one and nothing was done: the same again may succeed.
pub(super) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    let is = |code: &SqlState| error.code() == Some(code);
    is(&SqlState::T_R_DEADLOCK_DETECTED) || is(&SqlState::T_R_SERIALIZATION_FAILURE)
}

/// An operation that has not reached the server: nothing was done.
pub(crate) fn not_sent(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::ResourceThrottled, format!("{what}: {why}; nothing was done"))
}
