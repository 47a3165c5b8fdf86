//! The functions of all accounts, in memory.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use fc_core::port::store::Revision;
use fc_core::{
    AccountId, AuthType, CodeRef, Error, ErrorKind, FunctionSpec, FunctionVersion, Limits,
    Qualifier, Result, RuntimeCapabilities, VersionId,
};
use parking_lot::Mutex;

use crate::key::{Key, Listed, Sought};
use crate::record::{Record, Stored};
use crate::rules::{Rules, within};

/// The functions of all accounts, in memory (MGT-1).
///
/// Each change makes a new state of one function and puts it in the place of the old one: a reader
/// sees the one or the other. Readers take no lock; writers wait for each other.
///
/// Every state has a [`Revision`] that no other state of any function has. A writer that gives the
/// one that it has read is refused if somebody else has written since.
pub struct Functions {
    pub(crate) rules: Rules,
    records: papaya::HashMap<Key, Record>,
    writer: Mutex<Writer>,
}

/// What only writers need.
#[derive(Default)]
struct Writer {
    accounts: HashMap<AccountId, Account>,
    /// The last uid or revision that was given.
    last: u64,
}

struct Account {
    /// Shared by the keys of its functions.
    id: Arc<AccountId>,
    names: BTreeSet<Listed>,
    package_bytes: u64,
}

impl Writer {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// A function as it is read.
#[derive(Clone, Debug)]
pub struct Function {
    /// What its owner asked for; vCPU as it was derived, methods in the usual order.
    pub spec: FunctionSpec,
    /// What serves: LATEST, or what the qualifier meant. It knows its code.
    pub version: Arc<FunctionVersion>,
    /// This state of the function.
    pub revision: Revision,
    /// Why invocation is disabled, if it is.
    pub disabled: Option<Arc<str>>,
}

/// What a change has brought about.
#[derive(Clone, Debug)]
pub struct Updated {
    /// The version that was made; where none was, LATEST.
    pub version: Arc<FunctionVersion>,
    /// The function's new state.
    pub revision: Revision,
    /// Versions that can be resolved no longer: their instances are to be drained.
    pub replaced: Vec<Arc<FunctionVersion>>,
}

/// What an edit has made, and what it has replaced.
type Edited = (Arc<FunctionVersion>, Vec<Arc<FunctionVersion>>);

impl Functions {
    /// No functions yet. A function is refused if it needs a runtime that is not among `runtimes`,
    /// or more of it than it declares (RUN-1).
    pub fn new(limits: Limits, runtimes: Vec<RuntimeCapabilities>) -> Self {
        let auth_types = vec![AuthType::Anonymous];
        Self {
            rules: Rules { limits, runtimes, auth_types },
            // At once, while writers wait: growing bit by bit leaves full tables behind, which each
            // look-up goes through (630 ns instead of 24 among 100 000 functions).
            records: papaya::HashMap::builder().resize_mode(papaya::ResizeMode::Blocking).build(),
            writer: Mutex::default(),
        }
    }

    /// Takes HTTP triggers of these kinds too: somebody checks their callers. Without this only
    /// anonymous triggers are taken.
    #[must_use]
    pub fn with_auth_types(mut self, served: impl IntoIterator<Item = AuthType>) -> Self {
        self.rules.auth_types.extend(served);
        self
    }

    /// The limits that hold.
    pub fn limits(&self) -> &Limits {
        &self.rules.limits
    }

    /// Functions of all accounts.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no function.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Creates a function.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` or `EntityTooLarge`, naming the first field that is wrong or that this
    /// platform cannot serve; `FunctionAlreadyExists`; `LimitExceeded` over 400 functions or 10 GB of
    /// packages of the account (QUO-7).
    pub fn create(
        &self,
        account: &AccountId,
        spec: &FunctionSpec,
        code: Arc<CodeRef>,
    ) -> Result<Updated> {
        let limits = &self.rules.limits;
        let mut writer = self.writer.lock();
        let uid = writer.next();
        let version = self.rules.prove(uid, *account, VersionId::LATEST, spec, code)?;
        let (name, sought) = (version.name().clone(), spec.function_name.as_str());
        let records = self.records.pin();
        if records.contains_key(&Sought { account, name: sought }) {
            let what = format!("function '{name}' already exists");
            return Err(Error::new(ErrorKind::FunctionAlreadyExists, what));
        }
        let (functions, bytes) = writer
            .accounts
            .get(account)
            .map_or((0, 0), |account| (account.names.len() as u64, account.package_bytes));
        let of_account = "of the account";
        within("functions", of_account, limits.functions_per_account_max.into(), functions + 1)?;
        let revision = Revision(writer.next());
        let record = Record { latest: Stored::new(version, spec), revision, rest: None };
        let bytes = bytes.saturating_add(record.package_bytes());
        within("code", "bytes of the account", limits.code_per_account_bytes_max, bytes)?;

        let version = record.latest.version.clone();
        let entry = writer.accounts.entry(*account).or_insert_with(|| Account {
            id: Arc::new(*account),
            names: BTreeSet::new(),
            package_bytes: 0,
        });
        entry.package_bytes = bytes;
        entry.names.insert(Listed(name.clone()));
        records.insert(Key { account: entry.id.clone(), name }, record);
        Ok(Updated { version, revision, replaced: Vec::new() })
    }

    /// Gives the function named in `spec` a new specification, and new code if there is `code`. What
    /// is running ends on the old version; what is resolved later gets the new one.
    ///
    /// # Errors
    ///
    /// As [`Functions::create`]; `FunctionNotFound`; `ConcurrentUpdateError` if `expected` is not the
    /// function's revision.
    pub fn update(
        &self,
        account: &AccountId,
        spec: &FunctionSpec,
        code: Option<Arc<CodeRef>>,
        expected: Option<Revision>,
    ) -> Result<Updated> {
        self.change(account, &spec.function_name, expected, |record, uid| {
            let code = code.unwrap_or_else(|| record.latest.version.code().clone());
            let version = self.rules.prove(uid, *account, VersionId::LATEST, spec, code)?;
            let replaced = std::mem::replace(&mut record.latest, Stored::new(version, spec));
            Ok((record.latest.version.clone(), vec![replaced.version]))
        })
    }

    /// Reads a function, whether or not it may be invoked.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`, `VersionNotFound`, `AliasNotFound`.
    pub fn get(&self, account: &AccountId, name: &str, qualifier: &Qualifier) -> Result<Function> {
        self.look_at(account, name, |record| {
            let stored = record.find(qualifier)?;
            Ok(Function {
                spec: stored.spec(),
                version: stored.version.clone(),
                revision: record.revision,
                disabled: record.disabled().cloned(),
            })
        })
    }

    /// LATEST of at most `max` functions of `account` whose name starts with `prefix`, in byte order,
    /// behind `after`. Each is as it is when it is looked at.
    pub fn list(
        &self,
        account: &AccountId,
        prefix: &str,
        after: Option<&str>,
        max: usize,
    ) -> Vec<Function> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let names: Vec<_> = {
            let writer = self.writer.lock();
            let Some(account) = writer.accounts.get(account) else {
                return Vec::new();
            };
            let behind = account.names.range::<str, _>((start, Bound::Unbounded));
            let named = behind.map(|Listed(name)| name.clone());
            named.take_while(|name| name.as_str().starts_with(prefix)).take(max).collect()
        };
        let latest = Qualifier::default();
        // What was deleted in between is left out.
        names.iter().filter_map(|name| self.get(account, name.as_str(), &latest).ok()).collect()
    }

    /// Deletes a function with its versions and aliases, and gives all versions that are gone. A
    /// function that is created under the name later is another one: its versions count from 1.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`; `ConcurrentUpdateError` if `expected` is not the function's revision.
    pub fn delete(
        &self,
        account: &AccountId,
        name: &str,
        expected: Option<Revision>,
    ) -> Result<Vec<Arc<FunctionVersion>>> {
        let mut writer = self.writer.lock();
        let (records, sought) = (self.records.pin(), Sought { account, name });
        let record = records.get(&sought).ok_or_else(|| Error::function_not_found(name))?;
        check_revision(record, expected)?;
        let gone = record.all().cloned().collect();
        if let Some(entry) = writer.accounts.get_mut(account) {
            entry.package_bytes = entry.package_bytes.saturating_sub(record.package_bytes());
            entry.names.remove(name);
            if entry.names.is_empty() {
                writer.accounts.remove(account);
            }
        }
        records.remove(&sought);
        Ok(gone)
    }

    /// Refuses invocation of all versions with `AccessDenied` and this reason, until it is enabled
    /// again. The versions count as replaced until then.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`; `InvalidArgument` for a reason that is too long; `ConcurrentUpdateError` if
    /// `expected` is not the function's revision.
    pub fn disable_invocation(
        &self,
        account: &AccountId,
        name: &str,
        reason: &str,
        expected: Option<Revision>,
    ) -> Result<Updated> {
        self.rules.check_text("reason", reason)?;
        self.change(account, name, expected, |record, _| {
            record.rest_mut().disabled = Some(reason.into());
            Ok((record.latest.version.clone(), record.all().cloned().collect()))
        })
    }

    /// Takes [`Functions::disable_invocation`] back.
    ///
    /// # Errors
    ///
    /// `FunctionNotFound`; `ConcurrentUpdateError` if `expected` is not the function's revision.
    pub fn enable_invocation(
        &self,
        account: &AccountId,
        name: &str,
        expected: Option<Revision>,
    ) -> Result<Updated> {
        self.change(account, name, expected, |record, _| {
            if record.disabled().is_some() {
                record.rest_mut().disabled = None;
            }
            Ok((record.latest.version.clone(), Vec::new()))
        })
    }

    /// Reads one record without a lock.
    pub(crate) fn look_at<T>(
        &self,
        account: &AccountId,
        name: &str,
        read: impl FnOnce(&Record) -> Result<T>,
    ) -> Result<T> {
        let records = self.records.pin();
        match records.get(&Sought { account, name }) {
            Some(record) => read(record),
            None => Err(Error::function_not_found(name)),
        }
    }

    /// Makes a new state of one record, if `expected` is the old one's revision and the account's
    /// packages stay within their limit. `edit` is given a uid that nothing else has.
    pub(crate) fn change(
        &self,
        account: &AccountId,
        name: &str,
        expected: Option<Revision>,
        edit: impl FnOnce(&mut Record, u64) -> Result<Edited>,
    ) -> Result<Updated> {
        let mut writer = self.writer.lock();
        let (records, sought) = (self.records.pin(), Sought { account, name });
        let before = records.get(&sought).ok_or_else(|| Error::function_not_found(name))?;
        check_revision(before, expected)?;
        let mut record = before.clone();
        let (version, replaced) = edit(&mut record, writer.next())?;
        record.revision = Revision(writer.next());
        let revision = record.revision;
        let Some(entry) = writer.accounts.get_mut(account) else {
            return Err(Error::function_not_found(name));
        };
        let (less, more) = (before.package_bytes(), record.package_bytes());
        let bytes = entry.package_bytes.saturating_sub(less).saturating_add(more);
        if more > less {
            let limit = self.rules.limits.code_per_account_bytes_max;
            within("code", "bytes of the account", limit, bytes)?;
        }
        entry.package_bytes = bytes;
        let name = record.latest.version.name().clone();
        records.insert(Key { account: entry.id.clone(), name }, record);
        Ok(Updated { version, revision, replaced })
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions")
            .field("rules", &self.rules)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn check_revision(record: &Record, expected: Option<Revision>) -> Result<()> {
    match expected {
        Some(expected) if expected != record.revision => {
            let (name, Revision(expected)) = (record.latest.version.name(), expected);
            let Revision(is) = record.revision;
            let what =
                format!("function '{name}': revision {expected} was expected, it is at {is}");
            Err(Error::new(ErrorKind::ConcurrentUpdateError, what))
        }
        _ => Ok(()),
    }
}
