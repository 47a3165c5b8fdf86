//! A function as it is kept: small, immutable, replaced as a whole.

use std::sync::Arc;

use fc_core::port::store::Revision;
use fc_core::{
    Error, ErrorKind, FunctionSpec, FunctionVersion, HttpTriggerSpec, Qualifier, Result, VersionId,
};

use crate::{Alias, Published};

/// One state of a function. A change makes a new one.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) latest: Stored,
    pub(crate) revision: Revision,
    /// What most functions do not have.
    pub(crate) rest: Option<Arc<Rest>>,
}

/// Versions, aliases and the rest that most functions do not have.
#[derive(Clone, Default)]
pub(crate) struct Rest {
    /// Why invocation is disabled, if it is.
    pub(crate) disabled: Option<Arc<str>>,
    /// The last version's number; it may be deleted by now.
    pub(crate) last_version: u32,
    /// By number.
    pub(crate) versions: Vec<Published>,
    /// By name.
    pub(crate) aliases: Vec<Alias>,
}

impl Record {
    pub(crate) fn rest_mut(&mut self) -> &mut Rest {
        Arc::make_mut(self.rest.get_or_insert_default())
    }

    pub(crate) fn versions(&self) -> &[Published] {
        self.rest.as_ref().map_or(&[], |rest| &rest.versions)
    }

    pub(crate) fn aliases(&self) -> &[Alias] {
        self.rest.as_ref().map_or(&[], |rest| &rest.aliases)
    }

    pub(crate) fn disabled(&self) -> Option<&Arc<str>> {
        self.rest.as_ref()?.disabled.as_ref()
    }

    /// LATEST and the published versions.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<FunctionVersion>> {
        let published = self.versions().iter().map(|each| &each.stored.version);
        std::iter::once(&self.latest.version).chain(published)
    }

    /// What `qualifier` means, whether or not it may be invoked.
    pub(crate) fn find(&self, qualifier: &Qualifier) -> Result<&Stored> {
        match qualifier {
            Qualifier::Version(id) => self.version(*id),
            Qualifier::Alias(name) => self.version(self.alias(name)?.version),
        }
    }

    fn version(&self, id: VersionId) -> Result<&Stored> {
        if id == VersionId::LATEST {
            return Ok(&self.latest);
        }
        self.position(id).map(|at| &self.versions()[at].stored)
    }

    pub(crate) fn position(&self, id: VersionId) -> Result<usize> {
        self.versions().binary_search_by_key(&id, Published::id).map_err(|_| {
            let name = self.latest.version.name();
            let what = format!("version '{id}' of function '{name}' does not exist");
            Error::new(ErrorKind::VersionNotFound, what)
        })
    }

    pub(crate) fn alias(&self, name: &str) -> Result<&Alias> {
        let aliases = self.aliases();
        aliases.binary_search_by(|each| (*each.name).cmp(name)).map(|at| &aliases[at]).map_err(
            |_| {
                let function = self.latest.version.name();
                let what = format!("alias '{name}' of function '{function}' does not exist");
                Error::new(ErrorKind::AliasNotFound, what)
            },
        )
    }

    /// Bytes of packages that the function takes of its account: what several of its versions share
    /// counts once (QUO-7).
    pub(crate) fn package_bytes(&self) -> u64 {
        let codes: Vec<_> = self.all().map(|version| version.code()).collect();
        let first = |at: &usize| !codes[..*at].contains(&codes[*at]);
        (0..codes.len()).filter(first).map(|at| codes[at].package_bytes()).sum()
    }
}

/// A version, and what of its specification a [`FunctionVersion`] does not hold.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) version: Arc<FunctionVersion>,
    extra: Option<Arc<Extra>>,
}

/// What does not matter to an invocation, if the owner gave any of it.
#[derive(Default, PartialEq)]
struct Extra {
    description: Box<str>,
    idle_timeout: Option<u32>,
    instance_max: Option<u32>,
    tags: Box<[(Box<str>, Box<str>)]>,
}

impl Stored {
    pub(crate) fn new(version: FunctionVersion, spec: &FunctionSpec) -> Self {
        let extra = Extra {
            description: spec.description.as_str().into(),
            idle_timeout: spec.idle_timeout,
            instance_max: spec.instance_max,
            tags: spec.tags.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect(),
        };
        let given = extra != Extra::default();
        Self { version: Arc::new(version), extra: given.then(|| Arc::new(extra)) }
    }

    /// The same specification as another version.
    pub(crate) fn copied(&self, version: FunctionVersion) -> Self {
        Self { version: Arc::new(version), extra: self.extra.clone() }
    }

    /// The specification, with vCPU as it was derived and methods in the usual order.
    pub(crate) fn spec(&self) -> FunctionSpec {
        let version = &*self.version;
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut spec = FunctionSpec {
            function_name: version.name().as_str().to_owned(),
            runtime: version.runtime().as_str().to_owned(),
            handler: version.handler().to_owned(),
            cpu: f64::from(version.resources().cpu_milli) / 1000.0,
            memory_size: version.resources().memory_mb,
            disk_size: version.resources().disk_mb,
            // Whole seconds, from a u32.
            timeout: version.timeout().as_secs() as u32,
            instance_concurrency: version.instance_concurrency(),
            environment_variables: version.environment().map(own).collect(),
            custom_runtime_config: version.custom_runtime().cloned(),
            instance_lifecycle_config: version.lifecycle().cloned(),
            http_trigger: version.http_trigger().map(|(methods, auth_type)| HttpTriggerSpec {
                methods: methods.to_string().split(", ").map(str::to_owned).collect(),
                auth_type,
            }),
            ..FunctionSpec::default()
        };
        if let Some(extra) = &self.extra {
            spec.description = extra.description.to_string();
            (spec.idle_timeout, spec.instance_max) = (extra.idle_timeout, extra.instance_max);
            spec.tags = extra.tags.iter().map(|(k, v)| own((k, v))).collect();
        }
        spec
    }
}
