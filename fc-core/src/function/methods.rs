//! The methods an HTTP trigger enables.

use http::Method;

use crate::{Error, Result};

/// The methods a trigger can enable, in the order they are listed (HTT-1).
const ALL: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
    Method::PATCH,
    Method::OPTIONS,
];

/// A set of the methods GET, POST, PUT, DELETE, HEAD, PATCH and OPTIONS (HTT-1), in one byte.
///
/// ```
/// use fc_core::MethodSet;
/// let methods = MethodSet::parse(["GET", "POST"]).unwrap();
/// assert!(methods.contains(&http::Method::GET) && !methods.contains(&http::Method::PUT));
/// assert_eq!(methods.to_string(), "GET, POST");
/// assert!(MethodSet::parse(["TRACE"]).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MethodSet(u8);

impl MethodSet {
    /// All seven.
    pub const ALL: Self = Self(0x7f);

    /// The set of `names`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a method that no trigger can enable, or for none at all.
    pub fn parse<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self> {
        let mut set = 0;
        for name in names {
            let index = ALL.iter().position(|method| method.as_str() == name).ok_or_else(|| {
                Error::invalid(
                    "http_trigger.methods",
                    format_args!("'{}' is none of {}", name.escape_debug(), Self::ALL),
                )
            })?;
            set |= 1 << index;
        }
        if set == 0 {
            return Err(Error::invalid("http_trigger.methods", "must name at least one method"));
        }
        Ok(Self(set))
    }

    /// Whether `method` is enabled.
    pub fn contains(self, method: &Method) -> bool {
        ALL.iter().position(|each| each == method).is_some_and(|index| self.0 & (1 << index) != 0)
    }
}

impl std::fmt::Display for MethodSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for method in ALL.iter().filter(|method| self.contains(method)) {
            write!(f, "{separator}{method}")?;
            separator = ", ";
        }
        Ok(())
    }
}
