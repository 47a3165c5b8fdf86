use fc_control::Functions;
use fc_core::port::store::Revision;
use fc_core::{
    AuthType, Catalog, CustomRuntimeConfig, Error, ErrorKind, HookConfig, HttpTriggerSpec,
    InstanceLifecycleConfig, Limits, Qualifier, RuntimeKind, VersionId,
};

use super::*;

const LATEST: Qualifier = Qualifier::Version(VersionId::LATEST);

fn qualifier(text: &str) -> Qualifier {
    text.parse().unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn full(name: &str) -> FunctionSpec {
    FunctionSpec {
        runtime: "custom.debian12".into(),
        handler: "h".into(),
        description: "resizes".into(),
        cpu: 1.35,
        memory_size: 2048,
        disk_size: 10_240,
        timeout: 86_400,
        instance_concurrency: 7,
        idle_timeout: Some(300),
        instance_max: Some(0),
        environment_variables: [("A".into(), "1".into()), ("B".into(), "".into())].into(),
        custom_runtime_config: Some(CustomRuntimeConfig { port: 1, ..Default::default() }),
        instance_lifecycle_config: Some(InstanceLifecycleConfig {
            initializer: Some(HookConfig::default()),
            ..Default::default()
        }),
        http_trigger: Some(HttpTriggerSpec {
            methods: vec!["GET".into(), "HEAD".into()],
            auth_type: AuthType::Anonymous,
        }),
        tags: [("team".into(), "images".into())].into(),
        ..spec(name)
    }
}

/// MGT-1: what was created is read back, field by field, and a version keeps what LATEST was.
#[test]
fn mgt_1_what_was_created_is_read_back() {
    let (functions, mine) = (functions(), account("1"));
    for spec in [spec("plain"), full("full")] {
        let created = functions.create(&mine, &spec, code("/a", 1)).unwrap();
        let read = functions.get(&mine, &spec.function_name, &LATEST).unwrap();
        assert_eq!((&read.spec, read.revision), (&spec, created.revision));
        assert_eq!(**read.version.code(), *code("/a", 1));

        functions.publish_version(&mine, &spec.function_name, "first", None).unwrap();
        let changed = FunctionSpec { timeout: 9, tags: Default::default(), ..spec.clone() };
        functions.update(&mine, &changed, None, None).unwrap();
        let read = functions.get(&mine, &spec.function_name, &LATEST).unwrap();
        assert_eq!(read.spec, changed);
        assert_eq!(**read.version.code(), *code("/a", 1));
        let published = functions.get(&mine, &spec.function_name, &qualifier("1")).unwrap();
        assert_eq!(published.spec, spec);
        assert_eq!(published.version.id(), VersionId::new(1));
    }
}

/// MGT-1: strict validation that names the field.
#[test]
fn mgt_1_what_is_wrong_is_refused_by_name_and_changes_nothing() {
    let (functions, mine) = (functions(), account("1"));
    functions.create(&mine, &spec("f"), code("/a", 1)).unwrap();
    let wrong = FunctionSpec { memory_size: 100, ..spec("f") };
    let refused = functions.update(&mine, &wrong, None, None).unwrap_err();
    assert!(refused.message().starts_with("memory_size"), "{refused}");
    let refused = functions.create(&mine, &spec("1f"), code("/a", 1)).unwrap_err();
    assert!(refused.message().starts_with("function_name"), "{refused}");
    assert_eq!(
        kind(functions.create(&mine, &spec("f"), code("/b", 1))),
        ErrorKind::FunctionAlreadyExists
    );
    assert_eq!(kind(functions.update(&mine, &spec("g"), None, None)), ErrorKind::FunctionNotFound);
    assert_eq!(functions.get(&mine, "f", &LATEST).unwrap().spec, spec("f"));
    assert_eq!(functions.len(), 1);
}

/// MGT-1: optimistic concurrency, also across deletion and creation of the same name.
#[test]
fn mgt_1_a_stale_revision_is_refused() {
    let (functions, mine) = (functions(), account("1"));
    let first = functions.create(&mine, &spec("f"), code("/a", 1)).unwrap().revision;
    let second = functions.update(&mine, &spec("f"), None, Some(first)).unwrap().revision;
    assert_ne!(first, second);
    let stale = |expected: Revision| {
        let stale = Some(expected);
        let refused = functions.update(&mine, &spec("f"), None, stale).unwrap_err();
        assert_eq!((refused.code(), refused.status().as_u16()), ("ConcurrentUpdateError", 409));
        for refused in [
            functions.delete(&mine, "f", stale).map(drop),
            functions.publish_version(&mine, "f", "", stale).map(drop),
            functions.delete_version(&mine, "f", VersionId::new(1), stale).map(drop),
            functions.create_alias(&mine, "f", alias("a", 0), stale).map(drop),
            functions.update_alias(&mine, "f", alias("a", 0), stale).map(drop),
            functions.delete_alias(&mine, "f", "a", stale).map(drop),
            functions.disable_invocation(&mine, "f", "", stale).map(drop),
            functions.enable_invocation(&mine, "f", stale).map(drop),
        ] {
            assert_eq!(kind(refused), ErrorKind::ConcurrentUpdateError);
        }
    };
    stale(first);
    functions.delete(&mine, "f", Some(second)).unwrap();
    functions.create(&mine, &spec("f"), code("/a", 1)).unwrap();
    stale(first);
    stale(second);
}

/// MGT-1: disabled invocation is refused with its reason; reading and changing still work.
#[test]
fn mgt_1_invocation_is_disabled_and_enabled() {
    let (functions, mine) = (functions(), account("1"));
    functions.create(&mine, &spec("f"), code("/a", 1)).unwrap();
    functions.publish_version(&mine, "f", "", None).unwrap();
    let latest = functions.resolve(&mine, "f", &LATEST).unwrap();
    let disabled = functions.disable_invocation(&mine, "f", "unpaid", None).unwrap();
    assert_eq!(disabled.replaced.len(), 2);
    for wanted in ["LATEST", "1"] {
        let refused = functions.resolve(&mine, "f", &qualifier(wanted)).unwrap_err();
        assert_eq!((refused.code(), refused.status().as_u16()), ("AccessDenied", 403));
        assert!(refused.message().contains("unpaid"), "{refused}");
    }
    assert!(!functions.is_current(&latest));
    assert_eq!(functions.get(&mine, "f", &LATEST).unwrap().disabled.as_deref(), Some("unpaid"));
    functions.enable_invocation(&mine, "f", None).unwrap();
    assert_eq!(functions.resolve(&mine, "f", &LATEST).unwrap().uid(), latest.uid());
    assert!(functions.is_current(&latest));
    let refused = functions.disable_invocation(&mine, "f", &"r".repeat(257), None).unwrap_err();
    assert!(refused.message().starts_with("reason"));
}

#[test]
fn functions_are_listed_by_name_in_pages() {
    let (functions, mine) = (functions(), account("1"));
    for name in ["b2", "a1", "b10", "b1", "c"] {
        functions.create(&mine, &spec(name), code("/a", 1)).unwrap();
    }
    functions.create(&account("2"), &spec("b3"), code("/a", 1)).unwrap();
    let list = |prefix: &str, after: Option<&str>, max: usize| {
        let page = functions.list(&mine, prefix, after, max);
        page.into_iter().map(|each| each.spec.function_name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list("", None, 9), "a1 b1 b10 b2 c");
    assert_eq!(list("b", None, 2), "b1 b10");
    assert_eq!(list("b", Some("b10"), 2), "b2");
    assert_eq!(list("b", Some("a"), 9), "b1 b10 b2");
    assert_eq!(list("b", Some("c"), 9), "");
    assert_eq!(list("", Some("not a name!"), 1), "");
    assert_eq!(list("", None, 0), "");
    assert!(functions.list(&account("3"), "", None, 9).is_empty());
}

/// QUO-7: 400 functions of an account; another account is not affected.
#[test]
fn quo_7_functions_of_an_account() {
    let (functions, mine) = (functions(), account("1"));
    for number in 0..400 {
        functions.create(&mine, &spec(&format!("f{number}")), code("/a", 1)).unwrap();
    }
    let refused = functions.create(&mine, &spec("g"), code("/a", 1)).unwrap_err();
    assert_eq!(refused.code(), "LimitExceededError");
    assert_eq!(refused.message(), "functions: 401 of the account is over the limit of 400");
    functions.create(&account("2"), &spec("g"), code("/a", 1)).unwrap();
    functions.delete(&mine, "f7", None).unwrap();
    functions.create(&mine, &spec("g"), code("/a", 1)).unwrap();
}

/// QUO-7: 10 GB of packages of an account; what versions of one function share counts once.
#[test]
fn quo_7_packages_of_an_account() {
    const GB: u64 = 1024 * 1024 * 1024;
    let limits = Limits { code_unpacked_bytes_max: 20 * GB, ..Limits::function_compute() };
    let functions = Functions::new(limits, vec![runtime(RuntimeKind::Process, 200)]);
    let mine = account("1");
    functions.create(&mine, &spec("f"), code("/a", 4 * GB)).unwrap();
    for _ in 0..3 {
        functions.publish_version(&mine, "f", "", None).unwrap();
    }
    functions.create(&mine, &spec("g"), code("/a", 6 * GB)).unwrap();
    let refused = functions.create(&mine, &spec("h"), code("/h", 1)).unwrap_err();
    assert_eq!(refused.code(), "LimitExceededError");
    let (over, limit) = (10 * GB + 1, 10 * GB);
    let message = format!("code: {over} bytes of the account is over the limit of {limit}");
    assert_eq!(refused.message(), message);
    // New code for LATEST, while the versions keep the old.
    let refused = functions.update(&mine, &spec("f"), Some(code("/b", 1)), None).unwrap_err();
    assert!(refused.message().starts_with("code: "), "{refused}");
    let smaller = functions.update(&mine, &spec("g"), Some(code("/g", 6 * GB - 1)), None);
    smaller.unwrap();
    functions.update(&mine, &spec("f"), Some(code("/b", 1)), None).unwrap();
    for version in 1..4 {
        functions.delete_version(&mine, "f", VersionId::new(version), None).unwrap();
    }
    functions.create(&mine, &spec("h"), code("/h", 4 * GB)).unwrap();
    assert!(functions.create(&mine, &spec("i"), code("/i", 1)).is_err());
    functions.delete(&mine, "g", None).unwrap();
    functions.create(&mine, &spec("i"), code("/i", 6 * GB - 1)).unwrap();
}

/// QUO-7: 20 versions of a function with LATEST; numbers grow and are never used again.
#[test]
fn quo_7_versions_of_a_function() {
    let (functions, mine) = (functions(), account("1"));
    functions.create(&mine, &spec("f"), code("/a", 1)).unwrap();
    for number in 1..20 {
        let published = functions.publish_version(&mine, "f", "d", None).unwrap();
        assert_eq!(published.version.id(), VersionId::new(number));
    }
    let refused = functions.publish_version(&mine, "f", "", None).unwrap_err();
    assert_eq!(refused.code(), "LimitExceededError");
    assert_eq!(refused.message(), "versions: 21 with LATEST is over the limit of 20");
    let gone = functions.delete_version(&mine, "f", VersionId::new(19), None).unwrap();
    assert_eq!(gone.replaced[0].id(), VersionId::new(19));
    assert_eq!(kind(functions.resolve(&mine, "f", &qualifier("19"))), ErrorKind::VersionNotFound);
    assert!(!functions.is_current(&gone.replaced[0]));
    let published = functions.publish_version(&mine, "f", "", None).unwrap();
    assert_eq!(published.version.id(), VersionId::new(20));

    let page = functions.versions(&mine, "f", Some(VersionId::new(17)), 2).unwrap();
    let ids: Vec<_> = page.iter().map(|each| (each.id().number(), each.description())).collect();
    assert_eq!(ids, [(18, "d"), (20, "")]);
    assert_eq!(
        kind(functions.delete_version(&mine, "f", VersionId::LATEST, None)),
        ErrorKind::InvalidArgument
    );
    let refused = functions.publish_version(&mine, "f", &"d".repeat(257), None).unwrap_err();
    assert!(refused.message().starts_with("description"));
}

/// QUO-7: 10 aliases of a function.
#[test]
fn quo_7_aliases_of_a_function() {
    let (functions, mine) = (functions(), account("1"));
    functions.create(&mine, &spec("f"), code("/a", 1)).unwrap();
    functions.publish_version(&mine, "f", "", None).unwrap();
    for number in 0..10 {
        functions.create_alias(&mine, "f", alias(&format!("a{number}"), number % 2), None).unwrap();
    }
    let refused = functions.create_alias(&mine, "f", alias("b", 1), None).unwrap_err();
    assert_eq!(refused.code(), "LimitExceededError");
    assert_eq!(refused.message(), "aliases: 11 of one function is over the limit of 10");
    let page = functions.aliases(&mine, "f", "a", Some("a3"), 2).unwrap();
    assert_eq!(page, [alias("a4", 0), alias("a5", 1)]);
    assert!(functions.aliases(&mine, "f", "b", None, 9).unwrap().is_empty());
}

#[test]
fn an_alias_is_moved_and_holds_its_version() {
    let (functions, mine) = (functions(), account("1"));
    functions.create(&mine, &spec("f"), code("/a", 1)).unwrap();
    functions.publish_version(&mine, "f", "", None).unwrap();
    functions.publish_version(&mine, "f", "", None).unwrap();
    functions.create_alias(&mine, "f", alias("prod", 2), None).unwrap();
    let served = || functions.resolve(&mine, "f", &qualifier("prod")).unwrap().id().number();
    assert_eq!(served(), 2);
    let refused = functions.delete_version(&mine, "f", VersionId::new(2), None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PreconditionFailed);
    assert!(refused.message().contains("prod"), "{refused}");
    functions.update_alias(&mine, "f", alias("prod", 1), None).unwrap();
    assert_eq!(served(), 1);
    functions.delete_version(&mine, "f", VersionId::new(2), None).unwrap();

    let missing = functions.update_alias(&mine, "f", alias("prod", 2), None);
    assert_eq!(kind(missing), ErrorKind::VersionNotFound);
    assert_eq!(
        kind(functions.update_alias(&mine, "f", alias("x", 1), None)),
        ErrorKind::AliasNotFound
    );
    let twice = functions.create_alias(&mine, "f", alias("prod", 1), None);
    assert_eq!(kind(twice), ErrorKind::AliasAlreadyExists);
    for name in ["LATEST", "7", "", "a b"] {
        let refused = functions.create_alias(&mine, "f", alias(name, 1), None).unwrap_err();
        assert!(refused.message().starts_with("alias_name"), "{name}: {refused}");
    }
    assert_eq!(functions.alias(&mine, "f", "prod").unwrap(), alias("prod", 1));
    functions.delete_alias(&mine, "f", "prod", None).unwrap();
    assert_eq!(kind(functions.resolve(&mine, "f", &qualifier("prod"))), ErrorKind::AliasNotFound);
    functions.delete_version(&mine, "f", VersionId::new(1), None).unwrap();
}

/// RUN-1: a runtime, or a capability of it, that is not there is refused when a function is created.
#[test]
fn run_1_what_no_runtime_offers_is_refused() {
    let offered = vec![runtime(RuntimeKind::Process, 10), runtime(RuntimeKind::InProcess, 1)];
    let functions = Functions::new(Limits::function_compute(), offered);
    let mine = account("1");
    let check = |edit: fn(&mut FunctionSpec)| {
        let mut asked = spec("f");
        edit(&mut asked);
        let created = functions.create(&mine, &asked, code("/a", 1)).map(drop);
        if created.is_ok() {
            functions.delete(&mine, "f", None).unwrap();
        }
        created.map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            error.message().split(':').next().unwrap().to_owned()
        })
    };
    assert_eq!(check(|_| ()), Ok(()));
    assert_eq!(check(|spec| spec.instance_concurrency = 10), Ok(()));
    assert_eq!(check(|spec| spec.instance_concurrency = 11), Err("instance_concurrency".into()));
    assert_eq!(check(|spec| spec.runtime = "in-process".into()), Ok(()));
    let in_process = |spec: &mut FunctionSpec| {
        (spec.runtime, spec.instance_concurrency) = ("in-process".into(), 2);
    };
    assert_eq!(check(in_process), Err("instance_concurrency".into()));
    for missing in ["wasm", "python3.10", "custom-container"] {
        let created = functions.create(
            &mine,
            &FunctionSpec { runtime: missing.into(), ..spec("f") },
            code("/a", 1),
        );
        let refused = created.unwrap_err();
        assert!(refused.message().starts_with("runtime: "), "{refused}");
        assert!(refused.message().contains(missing), "{refused}");
    }
    functions.create(&mine, &spec("f"), code("/a", 1)).unwrap();
    let wasm = FunctionSpec { runtime: "wasm".into(), ..spec("f") };
    let refused = functions.update(&mine, &wasm, None, None).unwrap_err();
    assert!(refused.message().starts_with("runtime"), "{refused}");
}

/// HTT-8: an authentication that nobody does is refused, not ignored.
#[test]
fn htt_8_only_triggers_that_somebody_guards_are_taken() {
    let asked = |auth_type| FunctionSpec {
        http_trigger: Some(HttpTriggerSpec { auth_type, ..Default::default() }),
        ..spec("f")
    };
    let mine = account("1");
    let bare = functions();
    let guarded = functions().with_auth_types([AuthType::Jwt]);
    for auth_type in [AuthType::Function, AuthType::Jwt, AuthType::Basic] {
        let refused = bare.create(&mine, &asked(auth_type), code("/a", 1)).unwrap_err();
        assert!(refused.message().starts_with("http_trigger.auth_type"), "{refused}");
    }
    guarded.create(&mine, &asked(AuthType::Jwt), code("/a", 1)).unwrap();
    guarded.update(&mine, &asked(AuthType::Anonymous), None, None).unwrap();
    assert!(guarded.update(&mine, &asked(AuthType::Basic), None, None).is_err());
}

#[test]
fn a_change_says_which_versions_are_to_be_drained() {
    let (functions, mine) = (functions(), account("1"));
    let first = functions.create(&mine, &spec("f"), code("/a", 1)).unwrap().version;
    let update = functions.update(&mine, &spec("f"), None, None).unwrap();
    assert_eq!(update.replaced.iter().map(|v| v.uid()).collect::<Vec<_>>(), [first.uid()]);
    assert!(!functions.is_current(&first) && functions.is_current(&update.version));
    let published = functions.publish_version(&mine, "f", "", None).unwrap();
    assert!(published.replaced.is_empty() && functions.is_current(&published.version));
    let mut gone: Vec<_> =
        functions.delete(&mine, "f", None).unwrap().iter().map(|v| v.uid()).collect();
    gone.sort_unstable();
    assert_eq!(gone, [update.version.uid(), published.version.uid()]);
    // The same name again is another function.
    let again = functions.create(&mine, &spec("f"), code("/a", 1)).unwrap();
    assert!(!functions.is_current(&update.version) && functions.is_current(&again.version));
    assert_eq!(kind(functions.resolve(&mine, "f", &qualifier("1"))), ErrorKind::VersionNotFound);
}
