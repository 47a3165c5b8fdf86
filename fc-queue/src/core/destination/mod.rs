//! Where results go: addresses, records, and what is refused (ASY-5, ASY-8, I12; `alibaba-fc.md` 3.4,
//! 3.5).
//!
//! ```
//! use fc_core::{AccountId, FunctionName};
//! use fc_queue::core::destination::{Address, Edges, FunctionKey, next_depth};
//!
//! let address: Address = "acs:fc:cn-hangzhou::functions/audit/prod".parse().unwrap();
//! assert_eq!(address.to_string(), "acs:fc:cn-hangzhou::functions/audit/prod");
//!
//! let account = AccountId::new("1234").unwrap();
//! let key = |name| FunctionKey { account, function: FunctionName::new(name).unwrap() };
//! let mut edges = Edges::default();
//! edges.add(key("a"), key("b"));
//! assert!(edges.check(&key("a")).is_ok());
//! edges.add(key("b"), key("a"));
//! let refused = edges.check(&key("b")).unwrap_err();
//! assert_eq!(refused.to_string(), "destination_config: closes the cycle b -> a -> b");
//!
//! assert_eq!(next_depth(15, 16).unwrap(), 16);
//! assert!(next_depth(16, 16).is_err());
//! ```

mod address;
mod cloud_event;
mod cycle;
mod depth;
mod egress;
mod limits;
mod message;
mod record;
mod rfc3339;
mod signature;
mod url;
mod verdict;

pub use address::{Address, Foreign, Kind};
pub use cloud_event::CloudEvent;
pub use cycle::{Edges, FunctionKey};
pub use depth::{DEPTH_MAX, next_depth};
pub use egress::{Egress, Network};
pub use limits::SizeLimits;
pub use message::Message;
pub use record::{Answer, Record, RecordForm, Source};
pub use rfc3339::rfc3339;
pub use signature::{SigningKeys, SigningSecret};
pub use url::HttpUrl;
pub use verdict::judge;
