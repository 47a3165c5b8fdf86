//! How results are sent over HTTP.

use std::sync::Arc;
use std::time::Duration;

use super::{Resolve, SystemResolver};
use crate::core::destination::Egress;

/// How results are sent over HTTP.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Which addresses may be connected to.
    pub egress: Egress,
    /// How names become addresses.
    pub resolve: Arc<dyn Resolve>,
    /// How long one delivery may take, name and connection included. Standard-webhooks: 15 to 30 s.
    pub timeout: Duration,
    /// How long the name may take, and how long each of its addresses to connect, with its handshake.
    pub connect_timeout: Duration,
    /// How much of an answer's body is read, bytes; of a longer one the connection is closed.
    pub answer_bytes_max: u64,
    /// Idle connections kept per endpoint.
    pub idle_per_host_max: usize,
    /// How long they are kept.
    pub idle_timeout: Duration,
    /// Who is trusted behind `https`; `None`: whom the machine trusts.
    #[cfg(feature = "tls")]
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            egress: Egress::public(),
            resolve: Arc::new(SystemResolver),
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            answer_bytes_max: 16 * 1024,
            idle_per_host_max: 4,
            idle_timeout: Duration::from_secs(30),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}
