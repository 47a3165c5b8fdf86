use std::collections::BTreeMap;

use fc_control::Functions;
use fc_core::{Catalog, ErrorKind, Qualifier, Result};
use proptest::prelude::*;

use super::*;

/// Small limits, so that a short run meets them.
const FUNCTIONS: usize = 3;
const BYTES: u64 = 10;
const VERSIONS: usize = 4;
const ALIASES: usize = 2;

const NAMES: [&str; 4] = ["a", "ab", "b", "c"];
const ALIAS_NAMES: [&str; 3] = ["x", "y", "z"];

/// A function as the model keeps it: the naive way.
#[derive(Clone, Default)]
struct Naive {
    revision: u64,
    latest: State,
    last: u32,
    versions: BTreeMap<u32, State>,
    aliases: BTreeMap<&'static str, u32>,
    disabled: bool,
}

/// What tells two states apart: the time-out stands for the whole specification.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct State {
    uid: u64,
    timeout: u32,
    bytes: u64,
}

impl Naive {
    fn bytes(&self) -> u64 {
        let mut sizes: Vec<u64> = self.versions.values().map(|state| state.bytes).collect();
        sizes.push(self.latest.bytes);
        // The code's path is its size, so equal sizes are equal codes.
        sizes.sort_unstable();
        sizes.dedup();
        sizes.iter().sum()
    }

    fn find(&self, qualifier: &Qualifier) -> Result<State, ErrorKind> {
        let id = match qualifier {
            Qualifier::Version(id) => id.number(),
            Qualifier::Alias(name) => *self.aliases.get(&**name).ok_or(ErrorKind::AliasNotFound)?,
        };
        match id {
            0 => Ok(self.latest),
            _ => self.versions.get(&id).copied().ok_or(ErrorKind::VersionNotFound),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Create(usize, u64),
    Update(usize, Option<u64>, bool),
    Delete(usize),
    Publish(usize),
    DeleteVersion(usize, u32),
    CreateAlias(usize, usize, u32),
    UpdateAlias(usize, usize, u32),
    DeleteAlias(usize, usize),
    Enable(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let (name, alias, version) = (0..NAMES.len(), 0..ALIAS_NAMES.len(), 0u32..6);
    prop_oneof![
        4 => (name.clone(), 1u64..5).prop_map(|(f, b)| Step::Create(f, b)),
        3 => (name.clone(), prop::option::of(1u64..5), prop::bool::weighted(0.2))
            .prop_map(|(f, b, stale)| Step::Update(f, b, stale)),
        1 => name.clone().prop_map(Step::Delete),
        4 => name.clone().prop_map(Step::Publish),
        2 => (name.clone(), version.clone()).prop_map(|(f, v)| Step::DeleteVersion(f, v)),
        2 => (name.clone(), alias.clone(), version.clone())
            .prop_map(|(f, a, v)| Step::CreateAlias(f, a, v)),
        2 => (name.clone(), alias.clone(), version)
            .prop_map(|(f, a, v)| Step::UpdateAlias(f, a, v)),
        1 => (name.clone(), alias).prop_map(|(f, a)| Step::DeleteAlias(f, a)),
        1 => (name, any::<bool>()).prop_map(|(f, on)| Step::Enable(f, on)),
    ]
}

type Model = BTreeMap<&'static str, Naive>;

fn found<'m>(model: &'m mut Model, name: &str) -> Result<&'m mut Naive, ErrorKind> {
    model.get_mut(name).ok_or(ErrorKind::FunctionNotFound)
}

fn fits(model: &Model) -> Result<(), ErrorKind> {
    let bytes: u64 = model.values().map(Naive::bytes).sum();
    if bytes > BYTES { Err(ErrorKind::LimitExceeded) } else { Ok(()) }
}

fn package(bytes: u64) -> Arc<CodeRef> {
    code(&bytes.to_string(), bytes)
}

/// Does one step to the model, then to the subject; gives what each of them answered.
fn both(
    subject: &Functions,
    model: &mut Model,
    step: &Step,
    serial: u32,
) -> (Result<(), ErrorKind>, Result<(), ErrorKind>) {
    let mine = account("1");
    let asked = |name: &str| FunctionSpec { timeout: serial, ..spec(name) };
    let mut next = model.clone();
    let kind = |error: fc_core::Error| error.kind();
    // What the subject made: uid of the version, and revision.
    let mut made = (0, 0);
    let mut took = |updated: fc_control::Updated| {
        made = (updated.version.uid(), updated.revision.0);
    };
    let (name, is): (&'static str, Result<(), ErrorKind>);
    let must: Result<(), ErrorKind> = match *step {
        Step::Create(function, bytes) => {
            name = NAMES[function];
            is = subject.create(&mine, &asked(name), package(bytes)).map(&mut took).map_err(kind);
            if next.contains_key(name) {
                Err(ErrorKind::FunctionAlreadyExists)
            } else if next.len() == FUNCTIONS {
                Err(ErrorKind::LimitExceeded)
            } else {
                let latest = State { uid: made.0, timeout: serial, bytes };
                next.insert(name, Naive { latest, ..Naive::default() });
                fits(&next)
            }
        }
        Step::Update(function, bytes, stale) => {
            name = NAMES[function];
            let expected = next
                .get(name)
                .map(|f| fc_core::port::store::Revision(f.revision + u64::from(stale)));
            let updated = subject.update(&mine, &asked(name), bytes.map(package), expected);
            is = updated.map(&mut took).map_err(kind);
            found(&mut next, name)
                .and_then(|f| {
                    let bytes = bytes.unwrap_or(f.latest.bytes);
                    f.latest = State { uid: made.0, timeout: serial, bytes };
                    if stale { Err(ErrorKind::ConcurrentUpdateError) } else { Ok(()) }
                })
                .and_then(|()| fits_unless_smaller(model, &next))
        }
        Step::Delete(function) => {
            name = NAMES[function];
            is = subject.delete(&mine, name, None).map(drop).map_err(kind);
            next.remove(name).map(drop).ok_or(ErrorKind::FunctionNotFound)
        }
        Step::Publish(function) => {
            name = NAMES[function];
            is = subject.publish_version(&mine, name, "", None).map(&mut took).map_err(kind);
            found(&mut next, name).and_then(|f| {
                if f.versions.len() + 2 > VERSIONS {
                    return Err(ErrorKind::LimitExceeded);
                }
                f.last += 1;
                f.versions.insert(f.last, State { uid: made.0, ..f.latest });
                Ok(())
            })
        }
        Step::DeleteVersion(function, id) => {
            name = NAMES[function];
            let deleted = subject.delete_version(&mine, name, VersionId::new(id), None);
            is = deleted.map(&mut took).map_err(kind);
            if id == 0 {
                Err(ErrorKind::InvalidArgument)
            } else {
                found(&mut next, name).and_then(|f| {
                    if !f.versions.contains_key(&id) {
                        return Err(ErrorKind::VersionNotFound);
                    }
                    if f.aliases.values().any(|&version| version == id) {
                        return Err(ErrorKind::PreconditionFailed);
                    }
                    f.versions.remove(&id);
                    Ok(())
                })
            }
        }
        Step::CreateAlias(function, at, id) => {
            name = NAMES[function];
            let created = subject.create_alias(&mine, name, alias(ALIAS_NAMES[at], id), None);
            is = created.map(|revision| made.1 = revision.0).map_err(kind);
            found(&mut next, name).and_then(|f| {
                f.find(&Qualifier::Version(VersionId::new(id)))?;
                if f.aliases.contains_key(ALIAS_NAMES[at]) {
                    return Err(ErrorKind::AliasAlreadyExists);
                }
                f.aliases.insert(ALIAS_NAMES[at], id);
                if f.aliases.len() > ALIASES { Err(ErrorKind::LimitExceeded) } else { Ok(()) }
            })
        }
        Step::UpdateAlias(function, at, id) => {
            name = NAMES[function];
            let updated = subject.update_alias(&mine, name, alias(ALIAS_NAMES[at], id), None);
            is = updated.map(|revision| made.1 = revision.0).map_err(kind);
            found(&mut next, name).and_then(|f| {
                if !f.aliases.contains_key(ALIAS_NAMES[at]) {
                    return Err(ErrorKind::AliasNotFound);
                }
                f.find(&Qualifier::Version(VersionId::new(id)))?;
                f.aliases.insert(ALIAS_NAMES[at], id);
                Ok(())
            })
        }
        Step::DeleteAlias(function, at) => {
            name = NAMES[function];
            let deleted = subject.delete_alias(&mine, name, ALIAS_NAMES[at], None);
            is = deleted.map(|revision| made.1 = revision.0).map_err(kind);
            found(&mut next, name).and_then(|f| {
                f.aliases.remove(ALIAS_NAMES[at]).map(drop).ok_or(ErrorKind::AliasNotFound)
            })
        }
        Step::Enable(function, on) => {
            name = NAMES[function];
            let changed = match on {
                true => subject.enable_invocation(&mine, name, None),
                false => subject.disable_invocation(&mine, name, "because", None),
            };
            is = changed.map(&mut took).map_err(kind);
            found(&mut next, name).map(|f| f.disabled = !on)
        }
    };
    if must.is_ok() {
        if let Some(function) = next.get_mut(name) {
            function.revision = made.1;
        }
        *model = next;
    }
    (must, is)
}

/// What makes an account's packages no larger is never over their limit.
fn fits_unless_smaller(before: &Model, after: &Model) -> Result<(), ErrorKind> {
    let bytes = |model: &Model| model.values().map(Naive::bytes).sum::<u64>();
    if bytes(after) > bytes(before) { fits(after) } else { Ok(()) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// MGT-1, QUO-7: the registry answers every step, and resolves everything, as a plain map does.
    #[test]
    fn mgt_1_the_registry_agrees_with_a_naive_model(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let limits = Limits {
            functions_per_account_max: FUNCTIONS as u32,
            code_per_account_bytes_max: BYTES,
            versions_per_function_max: VERSIONS as u32,
            aliases_per_function_max: ALIASES as u32,
            ..Limits::function_compute()
        };
        let subject = Functions::new(limits, vec![runtime(RuntimeKind::Process, 200)]);
        let (mut model, mine) = (Model::new(), account("1"));
        let mut ever = Vec::new();
        for (serial, step) in steps.iter().enumerate() {
            let (must, is) = both(&subject, &mut model, step, serial as u32 + 1);
            prop_assert_eq!(is, must, "{:?}", step);
            for name in NAMES {
                let named = ALIAS_NAMES.map(|alias| Qualifier::Alias(alias.into()));
                let numbered = (0..7).map(|id| Qualifier::Version(VersionId::new(id)));
                for qualifier in numbered.chain(named) {
                    let must = match model.get(name) {
                        None => Err(ErrorKind::FunctionNotFound),
                        Some(function) if function.disabled => Err(ErrorKind::AccessDenied),
                        Some(function) => function.find(&qualifier),
                    };
                    let resolved = subject.resolve(&mine, name, &qualifier);
                    if let Ok(version) = &resolved {
                        ever.push(version.clone());
                    }
                    let is = resolved.map_err(|error| error.kind()).map(|version| State {
                        uid: version.uid(),
                        timeout: version.timeout().as_secs() as u32,
                        bytes: version.code().package_bytes(),
                    });
                    prop_assert_eq!(is, must, "{} {:?} after {:?}", name, qualifier, step);
                }
            }
            ever.sort_unstable_by_key(|version| version.uid());
            ever.dedup_by_key(|version| version.uid());
            for version in &ever {
                let must = model.get(version.name().as_str()).is_some_and(|function| {
                    let states = function.versions.values().chain([&function.latest]);
                    !function.disabled && states.into_iter().any(|s| s.uid == version.uid())
                });
                prop_assert_eq!(subject.is_current(version), must);
            }
            let listed = subject.list(&mine, "", None, 9);
            let listed: Vec<_> = listed.iter().map(|f| f.spec.function_name.as_str()).collect();
            prop_assert_eq!(listed, model.keys().copied().collect::<Vec<_>>());
        }
    }
}
