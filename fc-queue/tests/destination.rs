//! Addresses, records and cycles against naive models and captures (ASY-5, ASY-8).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fc_core::{AccountId, FailureType, FunctionName, Qualifier, Timestamp, VersionId};
use fc_queue::core::destination::{
    Address, Answer, Edges, FunctionKey, Kind, Record, RecordForm, Source,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn account() -> AccountId {
    AccountId::new("1234").expect("an account")
}

fn key(name: &str) -> FunctionKey {
    FunctionKey { account: account(), function: FunctionName::new(name).expect("a name") }
}

fn refusal(text: &str) -> String {
    match text.parse::<Address>() {
        Ok(address) => panic!("{text:?} was taken as {address:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn asy_5_every_kind_of_address_is_read_and_printed() {
    for (text, kind) in [
        ("acs:fc:cn-hangzhou:1234:functions/audit", Kind::Function),
        ("acs:fc:cn-x::functions/audit/LATEST", Kind::Function),
        ("acs:fc:::functions/audit/prod", Kind::Function),
        ("acs:fc:cn-x:1234:functions/audit/7", Kind::Function),
        ("acs:mns:cn-x:1234:/queues/q-1/messages", Kind::MnsQueue),
        ("acs:mns:cn-x:1234:/topics/t_1/messages", Kind::MnsTopic),
        ("acs:eventbridge:cn-x:1234:eventbus/default", Kind::EventBus),
        ("https://example.com/hook?token=x", Kind::Http),
        ("http://10.0.0.1:8080", Kind::Http),
        ("cloudevents+https://example.com/", Kind::CloudEvents),
        ("cloudevents+http://example.com/", Kind::CloudEvents),
        ("nats:results.1234.audit", Kind::Nats),
        ("callback:on-result", Kind::Callback),
        ("queue:1234/audit", Kind::Lane),
    ] {
        let address: Address = text.parse().expect(text);
        assert_eq!(address.kind(), kind, "{text}");
        assert_eq!(address.to_string(), text);
    }
}

#[test]
fn asy_5_what_is_no_address_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "no scheme"),
        ("audit", "no scheme"),
        ("ftp://example.com", "scheme must be"),
        ("ACS:fc:::functions/f", "scheme must be"),
        ("acs:fc:cn-x", "acs:{service}"),
        ("acs:oss:cn-x:1:bucket", "service must be"),
        ("acs:fc:CN:1:functions/f", "region"),
        ("acs:fc:cn:a.b:functions/f", "account"),
        ("acs:fc:cn:1:services/s.LATEST/functions/f", "functions/{function}"),
        ("acs:fc:cn:1:functions/", "function_name"),
        ("acs:fc:cn:1:functions/2f", "function_name"),
        ("acs:fc:cn:1:functions/f/", "empty"),
        ("acs:fc:cn:1:functions/f/007", "begin with 0"),
        ("acs:fc:cn:1:functions/f/a/b", "qualifier"),
        ("acs:mns:cn:1:queues/q/messages", "/queues/{queue}"),
        ("acs:mns:cn:1:/queues//messages", "queue must be"),
        ("acs:mns:cn:1:/queues/a/b/messages", "queue must be"),
        ("acs:mns:cn:1:/topics/t", "/topics/{topic}"),
        ("acs:eventbridge:cn:1:bus/b", "eventbus/{bus}"),
        ("cloudevents+ftp://x", "scheme must be"),
        ("nats:", "subject"),
        ("nats:a..b", "subject"),
        ("nats:a.*", "wildcards"),
        ("nats:a.>", "wildcards"),
        ("nats:a b", "subject"),
        ("nats:$JS.API.STREAM.DELETE.x", "NATS' own"),
        ("nats:_INBOX.x", "NATS' own"),
        ("callback:", "callback"),
        ("callback:a/b", "callback"),
        ("queue:", "lane"),
        ("queue:a.b", "lane"),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(reason), "{text:?}: {refused}");
    }
    let long = format!("nats:{}", "x".repeat(507));
    assert!(long.parse::<Address>().is_ok());
    let said = "destination: 513 bytes is over the limit of 512";
    assert_eq!(refusal(&format!("{long}x")), said);
}

#[test]
fn t37_what_is_another_account_s_is_refused() {
    for (text, is_own) in [
        ("acs:fc:cn:1234:functions/f", true),
        ("acs:fc:cn::functions/f", true),
        ("acs:fc:cn:12345:functions/f", false),
        ("acs:mns:cn:9:/queues/q/messages", false),
        ("acs:eventbridge:cn:9:eventbus/b", false),
        ("queue:1234", true),
        ("queue:1234/f", true),
        ("queue:12345/f", false),
        ("https://example.com", true),
    ] {
        let address: Address = text.parse().expect(text);
        assert_eq!(address.check_owner(account()).is_ok(), is_own, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever is taken is printed as it was read, so that a stored address stays what it is.
    #[test]
    fn an_address_that_is_taken_is_printed_as_it_was_read(
        scheme in "(acs:fc|acs:mns|acs:eventbridge|https|cloudevents\\+http|nats|callback|queue):",
        region in "(cn-x:|:|[a-z-]{0,3}:)?",
        account in "([0-9]{0,3}:)?",
        rest in "(functions/|/queues/|eventbus/|//)?[a-z0-9._/*?&=-]{0,12}(/messages)?",
    ) {
        let text = format!("{scheme}{region}{account}{rest}");
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn no_text_is_a_panic(text in "\\PC{0,60}") {
        _ = text.parse::<Address>();
    }

    /// A function is in a cycle exactly if it can be reached from itself, and what is named is one.
    #[test]
    fn asy_8_a_cycle_is_found_exactly_where_there_is_one(
        pairs in proptest::collection::btree_set((0_usize..9, 0_usize..9), 0..20),
        start in 0_usize..9,
    ) {
        let name = |index: usize| key(&format!("f{index}"));
        let mut edges = Edges::default();
        for (from, to) in &pairs {
            edges.add(name(*from), name(*to));
        }
        // The naive model: join pairs until nothing is new.
        let mut reach: BTreeSet<(usize, usize)> = pairs.clone();
        loop {
            let joined: BTreeSet<_> = reach
                .iter()
                .flat_map(|(a, b)| reach.iter().filter(move |(c, _)| b == c).map(move |(_, d)| (*a, *d)))
                .chain(reach.iter().copied())
                .collect();
            if joined == reach {
                break;
            }
            reach = joined;
        }
        let start_key = name(start);
        let found = edges.cycle_through(&start_key);
        prop_assert_eq!(found.is_some(), reach.contains(&(start, start)));
        prop_assert_eq!(edges.check(&start_key).is_err(), found.is_some());
        if let Some(cycle) = found {
            let index = |key: &FunctionKey| key.function.as_str()[1..].parse::<usize>().unwrap();
            let cycle: Vec<usize> = cycle.into_iter().map(index).collect();
            prop_assert_eq!((cycle.first(), cycle.last()), (Some(&start), Some(&start)));
            prop_assert!(cycle.windows(2).all(|pair| pairs.contains(&(pair[0], pair[1]))));
            let inner: BTreeSet<_> = cycle[1..].iter().collect();
            prop_assert_eq!(inner.len(), cycle.len() - 1, "visits a function twice");
        }
    }

    /// Nothing of a payload is lost, whatever it is, and a reader can tell how it is written.
    #[test]
    fn asy_5_payloads_come_back_to_the_byte(
        request in payloads(), response in payloads(), form in forms(),
    ) {
        let record = encoded(form, &request, Some(&response));
        let (names, lambda) = match form {
            RecordForm::FunctionGraph => (["request_payload", "response_payload"], false),
            RecordForm::FunctionCompute => (["requestPayload", "responsePayload"], false),
            RecordForm::Lambda => (["requestPayload", "responsePayload"], true),
        };
        let raw: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
            serde_json::from_slice(&record).unwrap();
        for (name, payload) in names.into_iter().zip([&request, &response]) {
            let suffix = if form == RecordForm::FunctionGraph { "_encoding" } else { "Encoding" };
            let encoding = raw.get(&format!("{name}{suffix}")).map(|raw| raw.get());
            let text = || serde_json::from_str::<String>(raw[name].get()).unwrap();
            let read = match encoding {
                Some("\"base64\"") => STANDARD.decode(text()).unwrap(),
                Some("\"text\"") => text().into_bytes(),
                Some(other) => panic!("{other}"),
                None if lambda => raw[name].get().as_bytes().to_vec(),
                None => text().into_bytes(),
            };
            // White space around JSON is not part of it.
            let payload = if lambda && encoding.is_none() {
                payload.trim_ascii()
            } else {
                &payload[..]
            };
            prop_assert_eq!(&read[..], payload);
        }
    }
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        "\\PC{0,20}".prop_map(String::into_bytes),
        "[ \\n]?(\\{\"a\":1\\.50,\"a\":\\[\"\\\\u0000\"\\]\\}|12345678901234567890123|null|\"x\")[ \\n]?"
            .prop_map(String::into_bytes),
    ]
}

fn forms() -> impl Strategy<Value = RecordForm> {
    prop_oneof![
        Just(RecordForm::FunctionCompute),
        Just(RecordForm::FunctionGraph),
        Just(RecordForm::Lambda)
    ]
}

fn record<'a>(source: Source<'a>, request: &'a [u8], answer: Option<Answer<'a>>) -> Record<'a> {
    Record {
        at: Timestamp::from_unix_millis(1_597_925_000_000),
        request_id: "1-ab",
        source,
        condition: "UnhandledInvocationError",
        approximate_invoke_count: 4,
        request,
        answer,
    }
}

fn encoded(form: RecordForm, request: &[u8], response: Option<&[u8]>) -> bytes::Bytes {
    let function = FunctionName::new("main").expect("a name");
    let qualifier = Qualifier::default();
    let source = Source {
        region: "cn-x",
        account: account(),
        function: &function,
        qualifier: &qualifier,
        version: VersionId::LATEST,
    };
    let answer = response.map(|payload| Answer {
        status: 200,
        failure: Some(FailureType::Unhandled),
        payload,
    });
    record(source, request, answer).encode(form).expect("a record")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn asy_5_function_compute_s_record_is_the_captured_one() {
    let answer = b"{\n    \"errorMessage\": \"x\"}";
    let record = encoded(RecordForm::FunctionCompute, b"{\"failure\":true}", Some(answer));
    assert_eq!(
        text(&record),
        "{\"timestamp\":1597925000000,\"requestContext\":{\"requestId\":\"1-ab\",\
         \"functionArn\":\"acs:fc:cn-x:1234:functions/main/LATEST\",\
         \"condition\":\"UnhandledInvocationError\",\"approximateInvokeCount\":4},\
         \"requestPayload\":\"{\\\"failure\\\":true}\",\
         \"responseContext\":{\"statusCode\":200,\"functionError\":\"UnhandledInvocationError\"},\
         \"responsePayload\":\"{\\n    \\\"errorMessage\\\": \\\"x\\\"}\"}"
    );
}

#[test]
fn asy_5_function_graph_s_record_is_in_snake_case() {
    let record = encoded(RecordForm::FunctionGraph, b"{}", Some(b"\xff"));
    let expected = json!({
        "timestamp": "2020-08-20T12:03:20.000Z",
        "request_context": {
            "request_id": "1-ab",
            "function_urn": "urn:fss:cn-x:1234:function:default:main:latest",
            "condition": "UnhandledInvocationError",
            "approximate_invoke_count": 4,
        },
        "request_payload": "{}",
        "response_context": {"status_code": 200, "function_error": "UnhandledInvocationError"},
        "response_payload": "/w==",
        "response_payload_encoding": "base64",
    });
    assert_eq!(serde_json::from_slice::<Value>(&record).expect("JSON"), expected);
}

#[test]
fn asy_5_lambda_s_record_nests_its_payloads() {
    let record = encoded(RecordForm::Lambda, b"{\"a\":1.50}", Some(b"no JSON"));
    assert_eq!(
        text(&record),
        "{\"version\":\"1.0\",\"timestamp\":\"2020-08-20T12:03:20.000Z\",\
         \"requestContext\":{\"requestId\":\"1-ab\",\
         \"functionArn\":\"arn:aws:lambda:cn-x:1234:function:main:$LATEST\",\
         \"condition\":\"UnhandledInvocationError\",\"approximateInvokeCount\":4},\
         \"requestPayload\":{\"a\":1.50},\
         \"responseContext\":{\"statusCode\":200,\"executedVersion\":\"$LATEST\",\
         \"functionError\":\"Unhandled\"},\
         \"responsePayload\":\"no JSON\",\"responsePayloadEncoding\":\"text\"}"
    );
}

#[test]
fn asy_4_a_task_that_never_ran_has_no_answer_to_show() {
    let compute = encoded(RecordForm::FunctionCompute, b"x", None);
    let compute: Value = serde_json::from_slice(&compute).expect("JSON");
    assert_eq!(compute["responseContext"], json!({"statusCode": 0, "functionError": ""}));
    assert_eq!(compute["responsePayload"], json!(""));
    let lambda = encoded(RecordForm::Lambda, b"x", None);
    let lambda: Value = serde_json::from_slice(&lambda).expect("JSON");
    assert_eq!(lambda.get("responseContext"), None);
    assert_eq!(lambda.get("responsePayload"), None);
}

#[test]
fn a_function_has_its_cloud_s_name() {
    let function = FunctionName::new("main").expect("a name");
    let names = |qualifier: &str| {
        let qualifier: Qualifier = qualifier.parse().expect("a qualifier");
        let version = VersionId::new(7);
        let source = Source {
            region: "r",
            account: account(),
            function: &function,
            qualifier: &qualifier,
            version,
        };
        [RecordForm::FunctionCompute, RecordForm::FunctionGraph, RecordForm::Lambda]
            .map(|form| source.name(form))
    };
    assert_eq!(
        names("prod"),
        [
            "acs:fc:r:1234:functions/main/prod",
            "urn:fss:r:1234:function:default:main:!prod",
            "arn:aws:lambda:r:1234:function:main:prod",
        ]
    );
    assert_eq!(
        names("7"),
        [
            "acs:fc:r:1234:functions/main/7",
            "urn:fss:r:1234:function:default:main:7",
            "arn:aws:lambda:r:1234:function:main:7",
        ]
    );
}

#[test]
fn asy_8_a_cycle_is_named_in_order_and_not_without_end() {
    let mut edges = Edges::default();
    edges.add(key("self"), key("self"));
    let refused = edges.check(&key("self")).unwrap_err().to_string();
    assert_eq!(refused, "destination_config: closes the cycle self -> self");
    for index in 0..400 {
        edges.add(key(&format!("f{index}")), key(&format!("f{}", (index + 1) % 400)));
    }
    let refused = edges.check(&key("f0")).unwrap_err().to_string();
    assert_eq!(
        refused,
        "destination_config: closes the cycle \
         f0 -> f1 -> f2 -> f3 -> f4 -> f5 -> f6 -> f7 -> … 392 more … -> f0"
    );
}
