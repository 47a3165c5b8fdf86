//! Addresses of destinations, as text and parsed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use fc_core::port::queue::Lane;
use fc_core::{AccountId, Error, ErrorKind, FunctionName, Qualifier, Result};

use super::HttpUrl;

/// Longest address, bytes (META in `alibaba-fc.md` 1.3).
const ADDRESS_BYTES_MAX: usize = 512;
const REGION_BYTES_MAX: usize = 64;
/// Longest name of a foreign queue, topic or bus, or of a callback, bytes.
const NAME_BYTES_MAX: usize = 256;

/// A kind of destination.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A function of this platform.
    Function,
    /// A queue of the cloud's message service.
    MnsQueue,
    /// A topic of the cloud's message service.
    MnsTopic,
    /// An event bus.
    EventBus,
    /// An HTTP endpoint that gets signed requests.
    Http,
    /// An HTTP endpoint that takes CloudEvents.
    CloudEvents,
    /// A subject of NATS.
    Nats,
    /// A callback in this process.
    Callback,
    /// A lane of this platform's queue.
    Lane,
}

/// Where a result goes.
///
/// It is printed as it was read: `parse` and `to_string` are each other's reverse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// `acs:fc:{region}:{account}:functions/{function}[/{qualifier}]`; region and account may be empty.
    Function {
        /// Its region; empty: this one.
        region: Arc<str>,
        /// Whose it is; `None`: the one's who configures it.
        account: Option<AccountId>,
        /// Its name.
        function: FunctionName,
        /// Which version; `None`: LATEST.
        qualifier: Option<Qualifier>,
    },
    /// `acs:mns:{region}:{account}:/queues/{queue}/messages`.
    MnsQueue(Foreign),
    /// `acs:mns:{region}:{account}:/topics/{topic}/messages`.
    MnsTopic(Foreign),
    /// `acs:eventbridge:{region}:{account}:eventbus/{bus}`.
    EventBus(Foreign),
    /// `https://…` or `http://…`.
    Http(HttpUrl),
    /// `cloudevents+https://…` or `cloudevents+http://…`.
    CloudEvents(HttpUrl),
    /// `nats:{subject}`: no wildcards, and none of the server's own subjects.
    Nats(Arc<str>),
    /// `callback:{name}`.
    Callback(Arc<str>),
    /// `queue:{lane}`.
    Lane(Lane),
}

/// Something of the cloud around the platform.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Foreign {
    /// Its region; empty: this one.
    pub region: Arc<str>,
    /// Whose it is; `None`: the one's who configures it.
    pub account: Option<AccountId>,
    /// Its name.
    pub name: Arc<str>,
}

impl Address {
    /// What kind it is of.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Function { .. } => Kind::Function,
            Self::MnsQueue(_) => Kind::MnsQueue,
            Self::MnsTopic(_) => Kind::MnsTopic,
            Self::EventBus(_) => Kind::EventBus,
            Self::Http(_) => Kind::Http,
            Self::CloudEvents(_) => Kind::CloudEvents,
            Self::Nats(_) => Kind::Nats,
            Self::Callback(_) => Kind::Callback,
            Self::Lane(_) => Kind::Lane,
        }
    }

    /// Refuses what belongs to another account than the `owner` of the function whose results go there
    /// (T37): there is nobody who could have allowed it.
    ///
    /// # Errors
    ///
    /// `AccessDenied`.
    pub fn check_owner(&self, owner: AccountId) -> Result<()> {
        let named = match self {
            Self::Function { account, .. } => account.as_ref().map(AccountId::as_str),
            Self::MnsQueue(it) | Self::MnsTopic(it) | Self::EventBus(it) => {
                it.account.as_ref().map(AccountId::as_str)
            }
            Self::Lane(lane) => lane.as_str().split('/').next(),
            Self::Http(_) | Self::CloudEvents(_) | Self::Nats(_) | Self::Callback(_) => None,
        };
        match named {
            Some(named) if named != owner.as_str() => {
                let message =
                    format!("destination: belongs to account '{named}', not to '{owner}'");
                Err(Error::new(ErrorKind::AccessDenied, message))
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > ADDRESS_BYTES_MAX {
            let (limit, value) = (ADDRESS_BYTES_MAX as u64, text.len() as u64);
            return Err(Error::over_limit("destination", "bytes", limit, value));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(Error::invalid("destination", "has no scheme"));
        };
        match scheme {
            "acs" => cloud(rest),
            "http" | "https" => HttpUrl::new(text).map(Self::Http),
            "cloudevents+http" | "cloudevents+https" => {
                HttpUrl::new(&text["cloudevents+".len()..]).map(Self::CloudEvents)
            }
            "nats" => subject(rest).map(Self::Nats),
            "callback" => name("callback", rest).map(Self::Callback),
            "queue" => Lane::new(rest).map(Self::Lane),
            _ => Err(Error::invalid(
                "destination",
                "the scheme must be acs, http, https, cloudevents+http, cloudevents+https, nats, \
                 callback or queue",
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = |account: &Option<AccountId>| {
            account.as_ref().map(ToString::to_string).unwrap_or_default()
        };
        match self {
            Self::Function { region, account: of, function, qualifier } => {
                write!(f, "acs:fc:{region}:{}:functions/{function}", account(of))?;
                qualifier.iter().try_for_each(|qualifier| write!(f, "/{qualifier}"))
            }
            Self::MnsQueue(Foreign { region, account: of, name }) => {
                write!(f, "acs:mns:{region}:{}:/queues/{name}/messages", account(of))
            }
            Self::MnsTopic(Foreign { region, account: of, name }) => {
                write!(f, "acs:mns:{region}:{}:/topics/{name}/messages", account(of))
            }
            Self::EventBus(Foreign { region, account: of, name }) => {
                write!(f, "acs:eventbridge:{region}:{}:eventbus/{name}", account(of))
            }
            Self::Http(url) => f.write_str(url.as_str()),
            Self::CloudEvents(url) => write!(f, "cloudevents+{}", url.as_str()),
            Self::Nats(subject) => write!(f, "nats:{subject}"),
            Self::Callback(name) => write!(f, "callback:{name}"),
            Self::Lane(lane) => write!(f, "queue:{lane}"),
        }
    }
}

/// What stands behind `acs:`.
fn cloud(text: &str) -> Result<Address> {
    let mut parts = text.splitn(4, ':');
    let (Some(service), Some(region), Some(account), Some(resource)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        let what = "must be acs:{service}:{region}:{account}:{resource}";
        return Err(Error::invalid("destination", what));
    };
    let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.len() > REGION_BYTES_MAX || !region.bytes().all(is_region) {
        let what = "the region must be at most 64 small letters, digits or '-'";
        return Err(Error::invalid("destination", what));
    }
    let region = Arc::from(region);
    let account = if account.is_empty() { None } else { Some(AccountId::new(account)?) };
    if service == "fc" {
        return function(region, account, resource);
    }
    let messages = |kind: &str| resource.strip_prefix(kind)?.strip_suffix("/messages");
    let foreign = |field, text| name(field, text).map(|name| Foreign { region, account, name });
    match service {
        "mns" => match (messages("/queues/"), messages("/topics/")) {
            (Some(queue), _) => foreign("queue", queue).map(Address::MnsQueue),
            (_, Some(topic)) => foreign("topic", topic).map(Address::MnsTopic),
            _ => Err(Error::invalid(
                "destination",
                "the resource must be /queues/{queue}/messages or /topics/{topic}/messages",
            )),
        },
        "eventbridge" => match resource.strip_prefix("eventbus/") {
            Some(bus) => foreign("bus", bus).map(Address::EventBus),
            None => Err(Error::invalid("destination", "the resource must be eventbus/{bus}")),
        },
        _ => Err(Error::invalid("destination", "the service must be fc, mns or eventbridge")),
    }
}

fn function(region: Arc<str>, account: Option<AccountId>, resource: &str) -> Result<Address> {
    let Some(named) = resource.strip_prefix("functions/") else {
        let what = "the resource must be functions/{function} or functions/{function}/{qualifier}";
        return Err(Error::invalid("destination", what));
    };
    let (function, qualifier) = match named.split_once('/') {
        None => (named, None),
        Some((_, "")) => {
            return Err(Error::invalid("destination", "the qualifier behind '/' is empty"));
        }
        Some((function, qualifier)) => (function, Some(qualifier)),
    };
    let function = FunctionName::new(function)?;
    let qualifier = match qualifier {
        // "007" would be printed as "7".
        Some(text) if text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(Error::invalid("destination", "a version must not begin with 0"));
        }
        Some(text) => Some(text.parse()?),
        None => None,
    };
    Ok(Address::Function { region, account, function, qualifier })
}

fn name(field: &str, text: &str) -> Result<Arc<str>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_plain) {
        let what = format_args!("the {field} must be 1 to 256 letters, digits, '-', '_' or '.'");
        return Err(Error::invalid("destination", what));
    }
    Ok(text.into())
}

/// Proves a subject that can be published to, and that no server and no client has for itself.
fn subject(text: &str) -> Result<Arc<str>> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>');
    let is_token = |token: &str| !token.is_empty() && token.bytes().all(is_plain);
    if !text.split('.').all(is_token) {
        let what = "a subject must be printable ASCII in parts by '.', without wildcards";
        return Err(Error::invalid("destination", what));
    }
    if text.starts_with('$') || text.starts_with("_INBOX") {
        let what = "a subject that begins with '$' or '_INBOX' is NATS' own";
        return Err(Error::invalid("destination", what));
    }
    Ok(text.into())
}
