//! What a destination must not reach, and what nobody must see.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use fc_core::{ErrorKind, Result, Retry, TaskStatus};
use fc_queue::destination::Deliver;
use fc_queue::destination::http::{HttpConfig, HttpDelivery, Resolve};

use super::receiver::{Answer, Receiver, plain};
use super::{account, address, cx, message, sender, to_loopback};

/// Says of every name that it is at these addresses.
#[derive(Debug)]
struct Says(Vec<IpAddr>);

#[async_trait]
impl Resolve for Says {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>> {
        Ok(self.0.clone())
    }
}

fn says(ips: &[&str]) -> Arc<Says> {
    Arc::new(Says(ips.iter().map(|ip| ip.parse().expect("an address")).collect()))
}

#[tokio::test]
async fn t6_a_private_address_is_refused_when_it_is_configured_and_when_it_is_used() {
    let receiver = Receiver::new([plain("200 OK", "")]).await;
    let delivery = HttpDelivery::new(sender(&HttpConfig::default()));
    let port = receiver.at.port();
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"] {
        let to = address(&format!("http://{host}:{port}/"));
        let refused = delivery.check(account(), &to).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AccessDenied, "{host}");
        let refused = delivery.deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.retry()), (ErrorKind::AccessDenied, Retry::Never));
    }
    assert_eq!(receiver.connections(), 0);
}

/// Forms of an address that are no literal to us, and one to a resolver.
#[tokio::test]
async fn t6_a_private_address_in_disguise_is_refused_when_it_is_used() {
    let receiver = Receiver::new([plain("200 OK", "")]).await;
    let delivery = HttpDelivery::new(sender(&HttpConfig::default()));
    for host in ["localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1"] {
        let to = address(&format!("http://{host}:{}/", receiver.at.port()));
        delivery.check(account(), &to).unwrap();
        let refused = delivery.deliver(cx(), &to, &message(TaskStatus::Failed)).await;
        assert!(refused.is_err(), "{host}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn t6_a_name_of_a_private_address_is_refused_when_it_is_used() {
    let receiver = Receiver::new([plain("200 OK", "")]).await;
    let resolve = says(&["127.0.0.1", "::ffff:127.0.0.1"]);
    let delivery = HttpDelivery::new(sender(&HttpConfig { resolve, ..HttpConfig::default() }));
    let to = address(&format!("http://hooks.example.com:{}/", receiver.at.port()));
    delivery.check(account(), &to).unwrap();
    let refused = delivery.deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.retry()), (ErrorKind::AccessDenied, Retry::Never));
    assert_eq!(receiver.connections(), 0);
}

/// Of a name's addresses only those are tried that may be: the check is of what is connected to.
#[tokio::test]
async fn t6_of_a_name_s_addresses_only_the_permitted_are_tried() {
    let permitted = Receiver::new([plain("200 OK", "")]).await;
    let port = permitted.at.port();
    let forbidden = Receiver::on(&format!("127.0.0.2:{port}"), [plain("200 OK", "")]).await;
    let config = HttpConfig { resolve: says(&["127.0.0.2", "127.0.0.1"]), ..to_loopback() };
    let delivery = HttpDelivery::new(sender(&config));
    let to = address(&format!("http://hooks.example.com:{port}/"));
    delivery.deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap();
    assert_eq!((permitted.connections(), forbidden.connections()), (1, 0));
}

#[tokio::test]
async fn a_name_without_addresses_is_refused() {
    let config = HttpConfig { resolve: says(&[]), ..to_loopback() };
    let delivery = HttpDelivery::new(sender(&config));
    let to = address("http://hooks.example.com/");
    assert!(delivery.deliver(cx(), &to, &message(TaskStatus::Failed)).await.is_err());
}

#[tokio::test]
async fn t29_no_error_shows_a_path_a_query_or_a_secret() {
    let receiver = Receiver::new([plain("500 x", ""), Answer::Close]).await;
    let url = receiver.url("http", "/planted-path?token=planted-query");
    let delivery = HttpDelivery::new(sender(&to_loopback()));
    for _ in 0..2 {
        let to = address(&url);
        let error = delivery.deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap_err();
        for shown in [format!("{error}"), format!("{error:?}"), format!("{delivery:?}")] {
            assert!(!shown.contains("planted") && !shown.contains("a secret of"), "{shown}");
        }
        assert!(error.to_string().contains(&receiver.at.to_string()), "{error}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn https_without_the_feature_is_refused_when_it_is_configured() {
    let delivery = HttpDelivery::new(sender(&to_loopback()));
    let refused = delivery.check(account(), &address("https://example.com/")).unwrap_err();
    assert_eq!(refused.to_string(), "destination: https needs the feature 'tls'");
}
