//! Endpoints behind `https`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use fc_core::{Result, Retry, TaskStatus};
use fc_queue::destination::Deliver;
use fc_queue::destination::http::{HttpConfig, HttpDelivery, Resolve};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::receiver::{Receiver, plain};
use super::{RECORD, account, address, cx, message, sender, to_loopback};

#[derive(Debug)]
struct Loopback;

#[async_trait]
impl Resolve for Loopback {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>> {
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// A server for `hooks.example.com`, and a client that trusts it.
fn tls() -> (TlsAcceptor, Arc<ClientConfig>) {
    let certified = rcgen::generate_simple_self_signed(["hooks.example.com".to_owned()])
        .expect("a certificate");
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
    let chain = vec![certified.cert.der().clone()];
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key)
        .expect("a server");
    let mut roots = RootCertStore::empty();
    roots.add(chain[0].clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), Arc::new(client))
}

fn delivery(tls: Option<Arc<ClientConfig>>) -> HttpDelivery {
    HttpDelivery::new(sender(&HttpConfig { resolve: Arc::new(Loopback), tls, ..to_loopback() }))
}

#[tokio::test]
async fn asy_5_an_endpoint_that_is_trusted_gets_the_record() {
    let (server, client) = tls();
    let receiver = Receiver::encrypted(server, [plain("200 OK", "")]).await;
    let to = address(&format!("https://hooks.example.com:{}/", receiver.at.port()));
    let delivery = delivery(Some(client));
    delivery.check(account(), &to).unwrap();
    delivery.deliver(cx(), &to, &message(TaskStatus::Failed)).await.unwrap();
    assert_eq!(receiver.requests()[0].body, RECORD);
}

#[tokio::test]
async fn an_endpoint_that_is_not_trusted_or_has_another_name_gets_nothing() {
    let (server, client) = tls();
    let receiver = Receiver::encrypted(server, [plain("200 OK", "")]).await;
    let (_, trusts_another) = tls();
    for (client, host) in [(trusts_another, "hooks.example.com"), (client, "other.example.com")] {
        let to = address(&format!("https://{host}:{}/", receiver.at.port()));
        let sent = delivery(Some(client)).deliver(cx(), &to, &message(TaskStatus::Failed)).await;
        assert_eq!(sent.unwrap_err().retry(), Retry::Safe);
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (2, 0));
}

/// The machine's own certificates: `ca-certificates` must be installed.
#[tokio::test]
async fn an_endpoint_that_the_machine_does_not_trust_gets_nothing() {
    let (server, _) = tls();
    let receiver = Receiver::encrypted(server, [plain("200 OK", "")]).await;
    let to = address(&format!("https://hooks.example.com:{}/", receiver.at.port()));
    let sent = delivery(None).deliver(cx(), &to, &message(TaskStatus::Failed)).await;
    assert_eq!(sent.unwrap_err().retry(), Retry::Safe);
    assert!(receiver.requests().is_empty());
}
