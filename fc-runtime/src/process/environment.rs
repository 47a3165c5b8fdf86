//! What a program finds in its environment (`alibaba-fc.md` 5.7).

use std::ffi::{OsStr, OsString};
use std::path::Path;

use fc_core::{FunctionVersion, InstanceId};

/// Variables of the platform's own environment that functions see too.
#[derive(Clone, Debug)]
pub(super) struct Inherited(Vec<(OsString, OsString)>);

impl Inherited {
    pub(super) fn read(names: &[String]) -> Self {
        let held = names.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        Self(held.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_os_str())
    }
}

/// Everything in the program's environment: what is inherited, over it what the owner sets, over
/// both what the platform says, so that no owner can pretend to be the platform.
pub(super) fn environment(
    inherited: &Inherited,
    version: &FunctionVersion,
    id: InstanceId,
    port: u16,
    region: &str,
    directory: &Path,
) -> Vec<(OsString, OsString)> {
    let mut all = inherited.0.clone();
    let mut set = |name: &str, value: &OsStr| {
        let value = value.to_os_string();
        match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => all.push((name.into(), value)),
        }
    };
    for (name, value) in version.environment() {
        set(name, value.as_ref());
    }
    let mut system = |name: &str, value: &str| set(name, value.as_ref());
    let port = port.to_string();
    let version_id = version.id().to_string();
    system("FC_ACCOUNT_ID", version.account().as_str());
    system("FC_CUSTOM_LISTEN_PORT", &port);
    system("FC_FUNCTION_HANDLER", version.handler());
    let memory_mb = version.resources().memory_mb.to_string();
    system("FC_FUNCTION_MEMORY_SIZE", &memory_mb);
    system("FC_FUNCTION_NAME", version.name().as_str());
    system("FC_FUNCTION_VERSION", &version_id);
    system("FC_INSTANCE_ID", id.as_str());
    system("FC_REGION", region);
    system("FC_RUNTIME", version.runtime().as_str());
    system("FC_SERVER_PORT", &port);
    system("FC_TIMEOUT", &version.timeout().as_secs().to_string());
    system("FC_VER_ID", &version_id);
    let initializer = version.lifecycle().and_then(|config| config.initializer.as_ref());
    if let Some(hook) = initializer {
        system("FC_INITIALIZER_HANDLER", &hook.handler);
        system("FC_INITIALIZATION_TIMEOUT", &hook.timeout.to_string());
    }
    set("FC_FUNC_CODE_PATH", directory.as_os_str());
    all
}
