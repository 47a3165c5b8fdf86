//! Aliases: names that can be moved from one version to another.

use std::sync::Arc;

use fc_core::port::store::Revision;
use fc_core::{AccountId, Error, ErrorKind, Qualifier, Result, VersionId};

use crate::Functions;
use crate::record::Record;
use crate::rules::within;

/// A name for a version of one function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alias {
    /// Its name.
    pub name: Arc<str>,
    /// The version that it means; LATEST is one.
    pub version: VersionId,
    /// Free text.
    pub description: Arc<str>,
}

impl Functions {
    /// Creates an alias of `version`.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`, `VersionNotFound`, `AliasAlreadyExists`; `InvalidArgument` for a name that
    /// is none or is a version's; `LimitExceeded` if the function has its 10 aliases (QUO-7);
    /// `ConcurrentUpdateError` if `expected` is not the function's revision.
    pub fn create_alias(
        &self,
        account: &AccountId,
        function: &str,
        alias: Alias,
        expected: Option<Revision>,
    ) -> Result<Revision> {
        if !matches!(alias.name.parse(), Ok(Qualifier::Alias(_))) {
            let what =
                "must be 1 to 128 letters, digits, '-' or '_', and neither LATEST nor a number";
            return Err(Error::invalid("alias_name", what));
        }
        self.rules.check_text("description", &alias.description)?;
        let most = self.rules.limits.aliases_per_function_max;
        let created = self.change(account, function, expected, |record, _| {
            record.find(&Qualifier::Version(alias.version))?;
            let Err(at) = position(record, &alias.name) else {
                let what = format!("alias '{}' of function '{function}' exists", alias.name);
                return Err(Error::new(ErrorKind::AliasAlreadyExists, what));
            };
            within("aliases", "of one function", most.into(), record.aliases().len() as u64 + 1)?;
            record.rest_mut().aliases.insert(at, alias);
            Ok((record.latest.version.clone(), Vec::new()))
        })?;
        Ok(created.revision)
    }

    /// Gives an alias another version and description. This is how a release is rolled back.
    ///
    /// # Errors
    ///
    /// As [`Functions::create_alias`], and `AliasNotFound`.
    pub fn update_alias(
        &self,
        account: &AccountId,
        function: &str,
        alias: Alias,
        expected: Option<Revision>,
    ) -> Result<Revision> {
        self.rules.check_text("description", &alias.description)?;
        let updated = self.change(account, function, expected, |record, _| {
            record.alias(&alias.name)?;
            record.find(&Qualifier::Version(alias.version))?;
            if let Ok(at) = position(record, &alias.name) {
                record.rest_mut().aliases[at] = alias;
            }
            Ok((record.latest.version.clone(), Vec::new()))
        })?;
        Ok(updated.revision)
    }

    /// One alias.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`, `AliasNotFound`.
    pub fn alias(&self, account: &AccountId, function: &str, name: &str) -> Result<Alias> {
        self.look_at(account, function, |record| record.alias(name).cloned())
    }

    /// At most `max` aliases whose name starts with `prefix`, in byte order, behind `after`.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`.
    pub fn aliases(
        &self,
        account: &AccountId,
        function: &str,
        prefix: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Alias>> {
        self.look_at(account, function, |record| {
            let wanted = |each: &&Alias| {
                each.name.starts_with(prefix) && after.is_none_or(|after| *each.name > *after)
            };
            Ok(record.aliases().iter().filter(wanted).take(max).cloned().collect())
        })
    }

    /// Deletes an alias. The version that it meant stays.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`, `AliasNotFound`; `ConcurrentUpdateError` if `expected` is not the
    /// function's revision.
    pub fn delete_alias(
        &self,
        account: &AccountId,
        function: &str,
        name: &str,
        expected: Option<Revision>,
    ) -> Result<Revision> {
        let deleted = self.change(account, function, expected, |record, _| {
            record.alias(name)?;
            record.rest_mut().aliases.retain(|alias| *alias.name != *name);
            Ok((record.latest.version.clone(), Vec::new()))
        })?;
        Ok(deleted.revision)
    }
}

fn position(record: &Record, name: &str) -> std::result::Result<usize, usize> {
    record.aliases().binary_search_by(|each| (*each.name).cmp(name))
}
