//! RUN-2 and RUN-9: how programs start, fail, end, and what is left of them.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod process_support;

use std::sync::Arc;
use std::time::Duration;

use fc_core::{
    Blame, CodeRef, ErrorKind, Exit, FunctionVersion, HealthCheckConfig, Hook, HookConfig,
    InstanceLifecycleConfig, Runtime,
};
use fc_runtime::process::{ProcessConfig, ProcessRuntime};
use process_support::*;

async fn refusal(runtime: &ProcessRuntime, version: &Arc<FunctionVersion>) -> String {
    let error = runtime.prepare(cx(), version).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    // A start without `prepare` fails in the same words, or in those of `env` itself.
    let started = runtime.start(cx(), &instance_spec(version.clone())).await.unwrap_err();
    let by_env = started.message().contains("exit code 127");
    assert!(by_env || started.message() == error.message(), "{started}");
    error.message().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_prepare_names_what_is_missing() {
    bounded(async {
        let runtime = runtime();
        let cases = [
            ("#!/nowhere/python9\n", "interpreter '/nowhere/python9'"),
            ("#!/usr/bin/env nosuchlanguage\n", "interpreter 'nosuchlanguage'"),
            ("#!/usr/bin/env -S nosuchlanguage -x\n", "interpreter 'nosuchlanguage'"),
        ];
        for (program, part) in cases {
            let function = Function::new(program);
            let message = refusal(&runtime, &function.version()).await;
            assert!(message.contains(part), "{message}");
        }
        let function = Function::server();
        let bootstrap = function.path().join("bootstrap");
        std::fs::set_permissions(&bootstrap, std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .unwrap();
        let message = refusal(&runtime, &function.version()).await;
        assert!(message.contains("is not executable"), "{message}");
        std::fs::remove_file(bootstrap).unwrap();
        let message = refusal(&runtime, &function.version()).await;
        assert!(message.contains("bootstrap' is no file"), "{message}");

        let gone = function
            .version_of(CodeRef::Directory { path: "/nowhere/at/all".into(), unpacked_bytes: 1 });
        let message = refusal(&runtime, &gone).await;
        assert!(message.contains("is no directory"), "{message}");
        let registered = function.version_of(CodeRef::Registered);
        let message = refusal(&runtime, &registered).await;
        assert!(message.starts_with("code: "), "{message}");
        let function = Function::server()
            .with_runtime_config(|config| config.command = vec!["nosuchcommand".into()]);
        let message = refusal(&runtime, &function.version()).await;
        assert!(message.contains("'nosuchcommand' is not in PATH"), "{message}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_a_command_stands_for_bootstrap() {
    bounded(async {
        let runtime = runtime();
        for command in [&["python3", "server.py"][..], &["./server.py"], &["bin/../server.py"]] {
            let function = Function::new("#!/bin/sh\nexit 9\n").with_runtime_config(|config| {
                config.command = command.iter().map(|word| (*word).into()).collect();
            });
            std::fs::create_dir(function.path().join("bin")).unwrap();
            write_program(&function.path().join("server.py"), SERVER);
            let instance = function.start(&runtime).await.unwrap();
            call(&instance, &function, "/").await.unwrap();
            instance.stop(cx()).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_a_program_that_does_not_come_up_is_told_with_what_it_said() {
    bounded(async {
        let config = ProcessConfig { ready: Duration::from_millis(300), ..config() };
        let runtime = ProcessRuntime::new(config, clock()).unwrap();
        let cases = [
            (
                "#!/bin/sh\necho 'no config' >&2; exit 3\n",
                "ended with exit code 3 Logs : no config",
            ),
            ("#!/bin/sh\nprintf part; kill -9 $$\n", "ended with signal 9 Logs : part"),
            ("#!/bin/sh\necho waiting; sleep 100\n", "refused for 300 ms Logs : waiting"),
            // Its parent is gone, and it will never listen.
            ("#!/bin/sh\nsetsid sh -c 'trap \"\" TERM; sleep 100' & exit 0\n", "exit code 0"),
        ];
        let (files, processes) = (open_files(), children());
        for (program, part) in cases {
            let function = Function::new(program);
            let error = function.start(&runtime).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FunctionNotStarted, "{error:?}");
            assert_eq!(error.status(), 412);
            let text = "The CA's http server cannot be started:ContainerStartDuration:";
            assert!(error.message().starts_with(text), "{error}");
            assert!(error.message().contains(part), "{error}");
        }
        // Other tests of this file run meanwhile: nothing of ours is what counts.
        let _ = (files, processes);
        assert!(sleepers("sleep 100").is_empty(), "{:?}", sleepers("sleep 100"));
    })
    .await;
}

/// Processes of this command line that were started in a function's directory by this test process.
fn sleepers(command: &str) -> Vec<String> {
    let region = "FC_REGION=cn-test";
    let of = |entry: std::fs::DirEntry| {
        let path = entry.path();
        let line = std::fs::read(path.join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ").trim_end().to_owned();
        let environment = std::fs::read(path.join("environ")).ok()?;
        let ours = String::from_utf8_lossy(&environment).contains(region);
        (ours && line == command).then_some(line)
    };
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| of(entry.ok()?)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_a_dropped_start_leaves_nothing() {
    bounded(async {
        let mut config = config();
        config.ports = *config.ports.start()..=*config.ports.start();
        let runtime = ProcessRuntime::new(config, clock()).unwrap();
        let function = Function::new("#!/bin/sh\necho $$ > pid; exec sleep 101\n");
        let spec = instance_spec(function.version());
        let starting = runtime.start(cx(), &spec);
        assert!(tokio::time::timeout(Duration::from_millis(200), starting).await.is_err());
        let pid: i32 = function.lines("pid")[0].parse().unwrap();
        while is_alive(pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Its only port is free again, too.
        let function = Function::server();
        let instance = loop {
            match function.start(&runtime).await {
                Ok(instance) => break instance,
                Err(error) => assert_eq!(error.kind(), ErrorKind::ResourceThrottled),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let second = function.start(&runtime).await.unwrap_err();
        assert_eq!(second.kind(), ErrorKind::ResourceThrottled);
        instance.stop(cx()).await.unwrap();
        let instance = function.start(&runtime).await.unwrap();
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_9_exit_code_signal_and_crash_are_told_apart() {
    bounded(async {
        let runtime = runtime();
        let cases = [
            ("/exit", Exit::Code(7), "exit code 7"),
            ("/segfault", Exit::Signal(11), "signal 11"),
            ("/kill", Exit::Signal(9), "signal 9"),
            ("/half-crash", Exit::Code(3), "exit code 3"),
        ];
        for (path, exit, text) in cases {
            let function = Function::server();
            let instance = function.start(&runtime).await.unwrap();
            let (first, second) = tokio::join!(instance.exited(), async {
                let error = call(&instance, &function, path).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::FunctionCrashed, "{path}: {error:?}");
                let begin = "Process exited unexpectedly before completing request (duration: ";
                assert!(error.message().starts_with(begin), "{error}");
                assert!(!error.message().contains("maxMemoryUsage: 0MB"), "{error}");
                assert!(error.message().ends_with(text), "{error}");
                instance.exited().await
            });
            assert_eq!((first, second), (exit, exit));
            let late = call(&instance, &function, "/").await.unwrap_err();
            assert_eq!(late.kind(), ErrorKind::FunctionCrashed);
            instance.stop(cx()).await.unwrap();
            assert_eq!(instance.exited().await, exit, "stopping changes no history");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_stop_ends_the_whole_tree_and_is_idempotent() {
    bounded(async {
        let runtime = runtime();
        for crash in [false, true] {
            let function = Function::server();
            let instance = function.start(&runtime).await.unwrap();
            assert_eq!(call(&instance, &function, "/daemon").await.unwrap(), "detached");
            let pids = function.lines("pids");
            let pids: Vec<i32> = pids.iter().map(|pid| pid.parse().unwrap()).collect();
            assert!(pids.len() >= 4 && pids.iter().all(|&pid| is_alive(pid)));
            if crash {
                call(&instance, &function, "/exit").await.unwrap_err();
                assert_eq!(instance.exited().await, Exit::Code(7));
            }
            let (first, second) = tokio::join!(instance.stop(cx()), instance.stop(cx()));
            first.unwrap();
            second.unwrap();
            assert!(!pids.iter().any(|&pid| is_alive(pid)), "crash: {crash}");
            instance.stop(cx()).await.unwrap();
            let expected = if crash { Exit::Code(7) } else { Exit::Stopped };
            assert_eq!(instance.exited().await, expected);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_a_program_deaf_to_sigterm_is_killed_and_a_hearing_one_may_say_goodbye() {
    bounded(async {
        let runtime = ProcessRuntime::new(
            ProcessConfig { stop_grace: Duration::from_secs(20), ..config() },
            clock(),
        )
        .unwrap();
        let polite = SERVER.replace(
            "    print(\"up\", flush=True)\n",
            "    signal.signal(signal.SIGTERM, lambda *_: (note('goodbye', '1'), os._exit(0)))\n",
        );
        let function = Function::new(&polite);
        let instance = function.start(&runtime).await.unwrap();
        instance.stop(cx()).await.unwrap();
        assert_eq!(function.lines("goodbye"), ["1"]);
        assert_eq!(instance.exited().await, Exit::Stopped);

        let deaf = SERVER.replace(
            "    print(\"up\", flush=True)\n",
            "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n",
        );
        let function = Function::new(&deaf);
        let instance = function.start(&self::runtime()).await.unwrap();
        let cx_ = cx();
        let version = function.version();
        let (reply, stopped) =
            tokio::join!(instance.invoke(cx_, http(&version, "POST", "/hang", ())), async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                instance.stop(cx()).await
            });
        stopped.unwrap();
        let error = reply.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FunctionCrashed);
        assert_eq!(error.blame(), Blame::Platform, "its code did nothing wrong");
        assert_eq!(instance.exited().await, Exit::Stopped);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_a_dropped_instance_is_killed() {
    bounded(async {
        let runtime = runtime();
        let function = Function::server();
        let instance = function.start(&runtime).await.unwrap();
        call(&instance, &function, "/daemon").await.unwrap();
        let pids = function.lines("pids");
        drop(instance);
        // The runtime may go first, too: what it began it ends.
        drop(runtime);
        for pid in pids {
            while is_alive(pid.parse().unwrap()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_a_sick_instance_ends_as_unhealthy() {
    bounded(async {
        let health = HealthCheckConfig {
            http_get_url: "/health".into(),
            initial_delay_seconds: 0,
            period_seconds: 1,
            timeout_seconds: 1,
            failure_threshold: 2,
            success_threshold: 1,
        };
        let function = Function::server()
            .with_runtime_config(|config| config.health_check_config = Some(health));
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        instance.run_hook(cx(), Hook::Initialize).await.unwrap();
        // Longer than it would take to be found sick.
        let well = tokio::time::timeout(Duration::from_millis(2_500), instance.exited()).await;
        assert!(well.is_err(), "{well:?}");
        let probes = function.lines("requests");
        assert!(probes.len() >= 2 && probes.iter().all(|line| line.starts_with("GET /health ")));
        call(&instance, &function, "/ill").await.unwrap();
        assert_eq!(instance.exited().await, Exit::Unhealthy);
        instance.stop(cx()).await.unwrap();
        assert_eq!(instance.exited().await, Exit::Unhealthy);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_who_initializes_is_not_probed() {
    bounded(async {
        let health = HealthCheckConfig {
            http_get_url: "/health".into(),
            failure_threshold: 1,
            period_seconds: 1,
            ..HealthCheckConfig::default()
        };
        // Not one probe succeeds before the initializer has.
        let function = Function::server()
            .with(|spec| {
                spec.instance_lifecycle_config = Some(InstanceLifecycleConfig {
                    initializer: Some(HookConfig { handler: "i".into(), timeout: 9 }),
                    ..Default::default()
                });
                spec.environment_variables.insert("SLOW_INITIALIZER".into(), "1.5".into());
                spec.instance_concurrency = 10;
            })
            .with_runtime_config(|config| config.health_check_config = Some(health));
        let instance = function.start(&runtime()).await.unwrap();
        instance.run_hook(cx(), Hook::Initialize).await.unwrap();
        while !function.lines("requests").iter().any(|line| line.starts_with("GET /health ")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let requests = function.lines("requests");
        assert!(requests[0].starts_with("POST /initialize "), "{requests:?}");
        let initialized = requests.iter().position(|line| line == "initialized").unwrap();
        assert_eq!(initialized, 1, "{requests:?}");
        call(&instance, &function, "/").await.unwrap();
        instance.stop(cx()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sch_6_a_deaf_instance_is_ended() {
    bounded(async {
        let function = Function::server();
        let runtime = runtime();
        let instance = function.start(&runtime).await.unwrap();
        // Its answer is the last on its connection, and nobody listens any more.
        assert_eq!(call(&instance, &function, "/deafen").await.unwrap(), "what?");
        let error = call(&instance, &function, "/").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FunctionCrashed, "{error:?}");
        assert!(error.message().contains("takes no connection"), "{error}");
        assert_eq!(error.blame(), Blame::Function);
        assert_eq!(instance.exited().await, Exit::Unhealthy);
        instance.stop(cx()).await.unwrap();
        let pid: i32 = function.lines("deaf")[0].parse().unwrap();
        assert!(!is_alive(pid));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_2_an_own_address_keeps_the_configured_port() {
    bounded(async {
        let port = *config().ports.start();
        let function = Function::server().with_runtime_config(|config| config.port = port);
        let runtime = runtime();
        let mut spec = instance_spec(function.version());
        spec.attachment.own_address = true;
        let instance = runtime.start(cx(), &spec).await.unwrap();
        let seen = call(&instance, &function, "/environment").await.unwrap();
        assert!(seen.contains(&format!("\"FC_CUSTOM_LISTEN_PORT\": \"{port}\"")), "{seen}");
        instance.stop(cx()).await.unwrap();
        spec.attachment.namespace = Some("/run/netns/x".into());
        let refused = runtime.start(cx(), &spec).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
    })
    .await;
}

#[tokio::test]
async fn run_2_a_configuration_that_cannot_work_is_refused() {
    let bad = [
        ProcessConfig { region: "a b".into(), ..config() },
        ProcessConfig { ports: 0..=5, ..config() },
        #[allow(clippy::reversed_empty_ranges)]
        ProcessConfig { ports: 9..=8, ..config() },
        ProcessConfig { open_files_max: 3, ..config() },
        ProcessConfig { inherit: vec!["FC_X".into()], ..config() },
    ];
    for config in bad {
        let refused = ProcessRuntime::new(config, clock()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    }
}
