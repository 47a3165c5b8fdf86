//! The platform, in the roles in which it is compared.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fc::core::{Clock, SystemClock};
use fc::runtime::process::{ProcessConfig, ProcessRuntime};
use fc::{Body, CodeRef, FunctionSpec, Limits, Platform, Response, handler_fn};

use super::function::{FUNCTION, Program};
use super::{HELLO, role};

/// The code directory of the function behind the `gateway-process` role.
pub(crate) const DIRECTORY: &str = "BENCH_DIRECTORY";

/// Requests at once in the one instance: more than there are connections.
const CONCURRENCY: u32 = 100;

const SHUTDOWN_WITHIN: Duration = Duration::from_secs(5);

/// A gateway in front of an in-process function.
pub(crate) fn gateway() {
    role::runtime().block_on(async {
        let platform = Platform::builder().build().expect("a platform");
        register(&platform, "hello");
        serve(platform).await;
    });
}

/// A gateway in front of a process function.
pub(crate) fn gateway_process() {
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).expect("the function's directory"));
    role::runtime().block_on(async {
        let platform = with_processes();
        deploy(&platform, "hello", &directory, CONCURRENCY);
        serve(platform).await;
    });
}

/// A platform that can run programs.
pub(crate) fn with_processes() -> Platform {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let runtime = ProcessRuntime::new(ProcessConfig::default(), clock.clone());
    let runtime = Arc::new(runtime.expect("a process runtime"));
    Platform::builder().clock(clock).runtime(runtime).build().expect("a platform")
}

/// A platform that takes `functions` functions, with `instances` instances of each.
pub(crate) fn with_room(functions: u32, instances: u32) -> Platform {
    let limits = Limits {
        functions_per_account_max: functions,
        instances_per_function_max: instances,
        waiting_per_function_max: instances,
        ..Limits::function_compute()
    };
    Platform::builder().limits(limits).build().expect("a platform")
}

/// Registers an in-process function that answers at once.
pub(crate) fn register(platform: &Platform, name: &str) {
    let hello = handler_fn(|_, _| async { Ok(Response::new(Body::from(HELLO))) });
    platform.handle(name, hello).expect("the function is taken");
}

/// Deploys `program` as function `name`, one request at a time.
pub(crate) fn deploy_program(platform: &Platform, name: &str, program: &Program) {
    deploy(platform, name, program.directory(), 1);
}

fn deploy(platform: &Platform, name: &str, directory: &Path, concurrency: u32) {
    let bootstrap = directory.join("bootstrap").metadata().expect("the function's bootstrap");
    let spec = FunctionSpec {
        function_name: name.into(),
        runtime: "custom".into(),
        instance_concurrency: concurrency,
        timeout: 60,
        environment_variables: [(role::ROLE.into(), FUNCTION.into())].into(),
        http_trigger: Some(Default::default()),
        ..FunctionSpec::default()
    };
    let code = CodeRef::Directory { path: directory.into(), unpacked_bytes: bootstrap.len() };
    platform.deploy(&spec, code).expect("the function is taken");
}

async fn serve(platform: Platform) {
    let listener = role::listener().await;
    role::listening(&listener);
    let gateway = platform.gateway().expect("a gateway");
    gateway.serve(listener, role::ended()).await.expect("the gateway serves");
    platform.shutdown(SHUTDOWN_WITHIN).await;
}
