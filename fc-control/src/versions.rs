//! Published versions.

use std::sync::Arc;

use fc_core::port::store::Revision;
use fc_core::{AccountId, Error, ErrorKind, FunctionVersion, Result, VersionId};

use crate::record::Stored;
use crate::rules::within;
use crate::{Functions, Updated};

/// A published version: an immutable copy of LATEST.
#[derive(Clone)]
pub struct Published {
    pub(crate) stored: Stored,
    description: Arc<str>,
}

impl Published {
    /// Its number.
    pub fn id(&self) -> VersionId {
        self.stored.version.id()
    }

    /// What its publisher wrote.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The version.
    pub fn version(&self) -> &Arc<FunctionVersion> {
        &self.stored.version
    }
}

impl std::fmt::Debug for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Published")
            .field("id", &self.id())
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

impl Functions {
    /// Publishes LATEST: a copy that never changes, with a number that this function has not had.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`; `ConcurrentUpdateError` if `expected` is not the function's revision;
    /// `LimitExceeded` if it has its 20 versions, LATEST included (QUO-7); `InvalidArgument` for a
    /// description that is too long.
    pub fn publish_version(
        &self,
        account: &AccountId,
        name: &str,
        description: &str,
        expected: Option<Revision>,
    ) -> Result<Updated> {
        self.rules.check_text("description", description)?;
        let most = self.rules.limits.versions_per_function_max;
        self.change(account, name, expected, |record, uid| {
            within("versions", "with LATEST", most.into(), record.versions().len() as u64 + 2)?;
            let latest = record.latest.clone();
            let number = record.rest_mut().last_version.checked_add(1).ok_or_else(|| {
                Error::new(ErrorKind::LimitExceeded, "versions: the numbers are used up")
            })?;
            let (id, code) = (VersionId::new(number), latest.version.code().clone());
            let version = self.rules.prove(uid, *account, id, &latest.spec(), code)?;
            let stored = latest.copied(version);
            let published = stored.version.clone();
            let rest = record.rest_mut();
            rest.last_version = number;
            rest.versions.push(Published { stored, description: description.into() });
            Ok((published, Vec::new()))
        })
    }

    /// At most `max` published versions with a number above `after`, in order. LATEST is not among
    /// them.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`.
    pub fn versions(
        &self,
        account: &AccountId,
        name: &str,
        after: Option<VersionId>,
        max: usize,
    ) -> Result<Vec<Published>> {
        let after = after.unwrap_or(VersionId::LATEST);
        self.look_at(account, name, |record| {
            let behind = record.versions().iter().filter(|each| each.id() > after);
            Ok(behind.take(max).cloned().collect())
        })
    }

    /// Deletes a published version. Its number stays used.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`, `VersionNotFound`; `InvalidArgument` for LATEST; `PreconditionFailed`
    /// naming the alias that uses it; `ConcurrentUpdateError` if `expected` is not the function's
    /// revision.
    pub fn delete_version(
        &self,
        account: &AccountId,
        name: &str,
        id: VersionId,
        expected: Option<Revision>,
    ) -> Result<Updated> {
        if id == VersionId::LATEST {
            return Err(Error::invalid("version", "LATEST cannot be deleted"));
        }
        self.change(account, name, expected, |record, _| {
            let at = record.position(id)?;
            if let Some(alias) = record.aliases().iter().find(|alias| alias.version == id) {
                let what = format!("version '{id}' is used by alias '{}'", alias.name);
                return Err(Error::new(ErrorKind::PreconditionFailed, what));
            }
            let gone = record.rest_mut().versions.remove(at).stored.version;
            Ok((record.latest.version.clone(), vec![gone]))
        })
    }
}
