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
//!    `POST /2023-03-30/functions/{name}/invocations?qualifier=`, `GET /healthz`, and what there is to
//!    know and to set of asynchronous invocations (below).
//! 4. **Resolve, authorise, invoke**, and answer in the shape of the cloud that
//!    [`Limits::dialect`](fc_core::Limits) names. Every answer has `X-Fc-Request-Id`.
//!
//! `X-Fc-Invocation-Type: Async` has an invocation queued, on either host: `202`, no body, and the
//! task's id. `X-Fc-Async-Task-Id` names it, `X-Fc-Async-Delay` defers it by whole seconds, 1 to 3600
//! (INV-5; decimals are nowhere documented and refused). Whatever else is answered, it is not queued
//! (INV-2). `X-Fc-Log-Type: Tail` is taken and means nothing there: a log comes with `Sync` only
//! (`alibaba-fc.md` 2.2). Below `/2023-03-30`:
//!
//! | path | method | |
//! |---|---|---|
//! | `/functions/{name}/async-tasks` | `GET` | `prefix`, `status`, `startedTimeBegin`, `startedTimeEnd`, `sortOrderByTime`, `includePayload`, `limit`, `nextToken`, `qualifier` |
//! | `/functions/{name}/async-tasks/{id}` | `GET` | `qualifier` |
//! | `/functions/{name}/async-tasks/{id}/stop` | `PUT` | `qualifier` |
//! | `/functions/{name}/async-invoke-config` | `PUT`, `GET`, `DELETE` | `qualifier` |
//! | `/async-invoke-configs` | `GET` | `functionName`, `limit`, `nextToken` |
//!
//! A parameter that is none of these is refused, and so is a value that cannot be decoded in one way
//! only. Tasks of a deleted function can be looked at and stopped as long as they are kept.
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
//!         enqueue: None,
//!         tasks: None,
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
