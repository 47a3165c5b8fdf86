//! How events come in: the HTTP gateway.
//!
//! [`Gateway`] is a [`tower_service::Service`] to mount in a server of your own, and a ready
//! [`Gateway::serve`] for HTTP/1.1 and HTTP/2. What it does to a request, in this order:
//!
//! 1. **Refuse what two servers could read differently**: one `Host`, no request of two framings,
//!    8 KB of headers, 8 KB of path. `serve` also reads the bytes before hyper does, and refuses
//!    bare line feeds, folded headers, a `Content-Length` that is no plain number, and the like.
//! 2. **Take away what only the platform may say**: every spelling of `x-fc-*`, and what belongs to
//!    the connection and not to the request.
//! 3. **Route**: `{function}.{suffix}` is that function's HTTP trigger; on any other host there is
//!    `POST /2023-03-30/functions/{name}/invocations?qualifier=`, and `GET /healthz`.
//! 4. **Resolve, authorise, invoke**, and answer in the shape of the cloud that
//!    [`Limits::dialect`](fc_core::Limits) names. Every answer has `X-Fc-Request-Id`.
//!
//! A client that goes away drops the invocation's future, which cancels it.
//!
//! ```
//! use std::sync::Arc;
//! use fc_core::{AccountId, Catalog, Clock, Invoke, RequestIds};
//! use fc_trigger::{Gateway, GatewayConfig, GatewayPorts};
//!
//! fn gateway(catalog: Arc<dyn Catalog>, invoke: Arc<dyn Invoke>, clock: Arc<dyn Clock>) -> Gateway {
//!     let config = GatewayConfig::new(AccountId::new("1234567890").unwrap());
//!     let ports = GatewayPorts {
//!         catalog,
//!         invoke,
//!         authorize: None,
//!         clock,
//!         request_ids: Arc::new(RequestIds::from_machine()),
//!     };
//!     Gateway::new(config, ports).unwrap()
//! }
//! ```

mod config;
mod gateway;
mod link;
mod server;
mod stages;

pub use config::{GatewayConfig, GatewayPorts, HEADER_FIELDS_MAX};
pub use gateway::{Gateway, GatewayFuture, PeerAddr};
