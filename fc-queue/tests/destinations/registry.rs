//! Who delivers to what, and callbacks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fc_core::{
    AccountId, Clock, Context, Deadline, Error, ErrorKind, Retry, TaskStatus, Timestamp,
};
use fc_queue::core::destination::{Kind, Message, SizeLimits};
use fc_queue::destination::http::HttpDelivery;
use fc_queue::destination::{CallbackDelivery, Registry};
use fc_testkit::SimClock;

use super::{account, address, clock, cx, message, sender, to_loopback};

fn with(callbacks: CallbackDelivery) -> Registry {
    Registry::default().serve(Kind::Callback, Arc::new(callbacks)).expect("callbacks are served")
}

#[test]
fn asy_5_what_nobody_delivers_to_is_refused_when_it_is_configured() {
    let registry = Registry::default();
    for text in [
        "acs:mns:cn:1234:/queues/q/messages",
        "acs:eventbridge:cn:1234:eventbus/b",
        "https://example.com/",
        "cloudevents+http://example.com/",
        "nats:results",
        "callback:x",
    ] {
        let refused = registry.configure(account(), text).unwrap_err();
        assert!(refused.to_string().contains("nobody here delivers to"), "{text}: {refused}");
    }
    for text in ["acs:fc:cn:1234:functions/f", "queue:1234/f"] {
        assert_eq!(registry.configure(account(), text).unwrap().to_string(), text);
    }
    assert!(registry.configure(account(), "nonsense").is_err());
    let denied = registry.configure(account(), "acs:fc:cn:9:functions/f").unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::AccessDenied);
}

#[test]
fn a_deliverer_refuses_what_it_cannot_serve() {
    let http = Arc::new(HttpDelivery::new(sender(&to_loopback())));
    let registry = Registry::default().serve(Kind::Http, http.clone()).unwrap();
    assert!(registry.configure(account(), "http://127.0.0.1:80/").is_ok());
    assert!(registry.configure(account(), "http://10.0.0.1:80/").is_err());
    for kind in [Kind::Function, Kind::Lane] {
        assert!(Registry::default().serve(kind, http.clone()).is_err());
    }
    // Whoever is put at the wrong place serves nothing there.
    let registry = Registry::default().serve(Kind::Callback, http).unwrap();
    assert!(registry.configure(account(), "callback:x").is_err());
}

#[tokio::test]
async fn asy_5_a_callback_gets_the_result_by_its_name() {
    let seen: Arc<Mutex<Vec<(&str, Message)>>> = Arc::default();
    let note = |name: &'static str| {
        let seen = seen.clone();
        move |message: Message| {
            seen.lock().expect("notes").push((name, message));
            async { Ok(()) }
        }
    };
    let callbacks = CallbackDelivery::new(clock());
    let callbacks = callbacks.with("one", note("one")).unwrap().with("two", note("two")).unwrap();
    let registry = with(callbacks);
    let to = registry.configure(account(), "callback:two").unwrap();
    assert!(registry.configure(account(), "callback:three").is_err());
    let sent = message(TaskStatus::Succeeded);
    registry.deliver(cx(), &to, &sent).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [("two", sent)]);
}

#[tokio::test]
async fn a_callback_s_error_is_its_own_and_a_panic_is_tried_again() {
    let callbacks = CallbackDelivery::new(clock())
        .with("never", |_| async { Err(Error::invalid("record", "not wanted")) })
        .unwrap()
        .with("panics", |_| async { panic!("a bug") })
        .unwrap();
    let registry = with(callbacks);
    for (to, class) in [("callback:never", Retry::Never), ("callback:panics", Retry::Safe)] {
        let sent = registry.deliver(cx(), &address(to), &message(TaskStatus::Failed)).await;
        assert_eq!(sent.unwrap_err().retry(), class, "{to}");
    }
}

#[tokio::test]
async fn a_callback_that_does_not_end_is_given_up_in_time() {
    let clock = Arc::new(SimClock::new(Timestamp::default()));
    let callbacks = CallbackDelivery::new(clock.clone())
        .with("hangs", |_| std::future::pending())
        .expect("a name");
    let deadline = Deadline::at(clock.now() + Duration::from_secs(5));
    let cx = Context { deadline, ..cx() };
    let registry = with(callbacks);
    let delivery = tokio::spawn(async move {
        registry.deliver(cx, &address("callback:hangs"), &message(TaskStatus::Failed)).await
    });
    tokio::task::yield_now().await;
    assert!(!delivery.is_finished());
    clock.advance(Duration::from_secs(5));
    assert_eq!(delivery.await.unwrap().unwrap_err().retry(), Retry::Safe);
}

#[tokio::test]
async fn asy_5_a_record_over_its_limit_is_neither_sent_nor_cut() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let callbacks = CallbackDelivery::new(clock())
        .with("x", move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })
        .unwrap();
    let limits = SizeLimits { callback_bytes_max: 10, ..SizeLimits::default() };
    let registry = Registry::new(limits).serve(Kind::Callback, Arc::new(callbacks)).unwrap();
    let sized = |bytes: usize| {
        let record = Bytes::from(format!("\"{}\"", "x".repeat(bytes - 2)));
        let account = AccountId::new("1").unwrap();
        let at = Timestamp::default();
        Message::new(account, "i".into(), "s".into(), TaskStatus::Failed, at, record).unwrap()
    };
    registry.deliver(cx(), &address("callback:x"), &sized(10)).await.unwrap();
    let refused = registry.deliver(cx(), &address("callback:x"), &sized(11)).await.unwrap_err();
    assert_eq!(refused.retry(), Retry::Never);
    assert_eq!(refused.to_string(), "destination record: 11 bytes is over the limit of 10");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
