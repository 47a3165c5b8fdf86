//! The query of an operation: decoded once, and each parameter at most once.

use fc_core::{Error, Qualifier, Result, TaskQuery, TaskStatus, Timestamp};

use super::shown;

/// Most items of a page (`alibaba-fc.md` 1.1).
const LIMIT_MAX: u32 = 100;
/// Items of a page for who does not say.
const LIMIT_DEFAULT: u32 = 20;
/// Longest start of a task's id that can be asked for: no id is longer.
const PREFIX_CHARS_MAX: usize = 128;

/// The query as it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'q>(&'q str);

impl<'q> Query<'q> {
    pub(super) fn new(query: Option<&'q str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// What `ListAsyncTasks` takes.
    pub(super) fn tasks(self) -> Result<TaskQuery> {
        let [prefix, qualifier, status, begin, end, sort, payload, limit, token] =
            self.values([
                "prefix",
                "qualifier",
                "status",
                "startedTimeBegin",
                "startedTimeEnd",
                "sortOrderByTime",
                "includePayload",
                "limit",
                "nextToken",
            ])?;
        let default = TaskQuery::default();
        Ok(TaskQuery {
            prefix: prefix.map(checked_prefix).transpose()?.unwrap_or_default(),
            qualifier: qualifier.map(|text| text.parse()).transpose()?,
            status: status.map(|text| status_of(&text)).transpose()?,
            started_from: begin.map(|text| millis("startedTimeBegin", &text)).transpose()?,
            started_to: end.map(|text| millis("startedTimeEnd", &text)).transpose()?,
            descending: match sort.as_deref() {
                None => default.descending,
                Some("desc") => true,
                Some("asc") => false,
                Some(other) => return Err(refused("sortOrderByTime", "asc or desc", other)),
            },
            include_payload: match payload.as_deref() {
                None => default.include_payload,
                Some("true") => true,
                Some("false") => false,
                Some(other) => return Err(refused("includePayload", "true or false", other)),
            },
            limit: page_limit(limit)?,
            next_token: token.filter(|token| !token.is_empty()),
        })
    }

    /// The one `qualifier`, if it is given.
    pub(super) fn qualifier(self) -> Result<Option<Qualifier>> {
        let [qualifier] = self.values(["qualifier"])?;
        qualifier.map(|text| text.parse()).transpose()
    }

    /// `functionName`, `limit` and `nextToken` of `ListAsyncInvokeConfigs`.
    pub(super) fn configs(self) -> Result<(Option<String>, u32, Option<String>)> {
        let [function, limit, token] = self.values(["functionName", "limit", "nextToken"])?;
        Ok((function, page_limit(limit)?, token.filter(|token| !token.is_empty())))
    }

    /// The decoded values of `names`, in their order. Any other parameter is refused: to overlook a
    /// filter would give what was not asked for.
    fn values<const N: usize>(self, names: [&str; N]) -> Result<[Option<String>; N]> {
        let mut values = [const { None }; N];
        for pair in self.0.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(at) = names.iter().position(|known| *known == name) else {
                let what = format!("'{}' is no parameter of this operation", shown(name));
                return Err(Error::invalid("query", what));
            };
            if values[at].replace(decode(name, value)?).is_some() {
                return Err(Error::invalid(name, "is given more than once"));
            }
        }
        Ok(values)
    }
}

/// `value` without its percent-encoding, which is undone once. `+` is refused, as a blank to some and
/// itself to others; and so is what is no printable text.
fn decode(name: &str, value: &str) -> Result<String> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match (bytes.next().and_then(digit), bytes.next().and_then(digit)) {
                (Some(high), Some(low)) => decoded.push(high << 4 | low),
                _ => return Err(Error::invalid(name, "has a '%' without two hexadecimal digits")),
            },
            b'+' => return Err(Error::invalid(name, "must have its '+' encoded, as %2B or %20")),
            byte => decoded.push(byte),
        }
    }
    match String::from_utf8(decoded) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text),
        _ => Err(Error::invalid(name, "is no text in UTF-8 without control characters")),
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn checked_prefix(prefix: String) -> Result<String> {
    if prefix.len() > PREFIX_CHARS_MAX {
        let (limit, length) = (PREFIX_CHARS_MAX as u64, prefix.len() as u64);
        return Err(Error::over_limit("prefix", "bytes", limit, length));
    }
    Ok(prefix)
}

fn status_of(text: &str) -> Result<TaskStatus> {
    let found = TaskStatus::ALL.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| {
        let all = TaskStatus::ALL.map(TaskStatus::as_str).join(", ");
        refused("status", &format!("one of {all}"), text)
    })
}

fn millis(name: &str, text: &str) -> Result<Timestamp> {
    let millis = number(text).map(Timestamp::from_unix_millis);
    millis.ok_or_else(|| refused(name, "milliseconds since the Unix epoch", text))
}

fn page_limit(text: Option<String>) -> Result<u32> {
    let Some(text) = text else {
        return Ok(LIMIT_DEFAULT);
    };
    let limit = number(&text).and_then(|limit| u32::try_from(limit).ok());
    limit
        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
        .ok_or_else(|| refused("limit", &format!("a number from 1 to {LIMIT_MAX}"), &text))
}

/// Digits alone: no sign, no blank.
fn number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

fn refused(name: &str, must_be: &str, is: &str) -> Error {
    Error::invalid(name, format_args!("must be {must_be}; is '{}'", shown(is)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tasks(query: &str) -> Result<TaskQuery> {
        Query::new(Some(query)).tasks()
    }

    #[test]
    fn asy_9_every_filter_is_read() {
        assert_eq!(tasks("").unwrap(), TaskQuery::default());
        assert_eq!(Query::new(None).tasks().unwrap(), TaskQuery::default());
        let query = tasks(
            "prefix=a%5Fb&status=Succeeded&startedTimeBegin=5&startedTimeEnd=1700000000000&\
             sortOrderByTime=asc&includePayload=true&limit=100&nextToken=a%2Bb%2F%3D&qualifier=prod",
        );
        assert_eq!(
            query.unwrap(),
            TaskQuery {
                prefix: "a_b".into(),
                qualifier: Some(Qualifier::Alias("prod".into())),
                status: Some(TaskStatus::Succeeded),
                started_from: Some(Timestamp::from_unix_millis(5)),
                started_to: Some(Timestamp::from_unix_millis(1_700_000_000_000)),
                descending: false,
                include_payload: true,
                limit: 100,
                next_token: Some("a+b/=".into()),
            }
        );
        for status in TaskStatus::ALL {
            assert_eq!(tasks(&format!("status={}", status.as_str())).unwrap().status, Some(status));
        }
        assert!(tasks("sortOrderByTime=desc").unwrap().descending);
        assert_eq!(tasks("&limit=1&").unwrap().limit, 1);
        // Decoded once: what is still encoded is the value.
        assert_eq!(tasks("prefix=%2541").unwrap().prefix, "%41");
        assert_eq!(tasks("nextToken=").unwrap().next_token, None);
    }

    #[test]
    fn t9_what_can_be_read_in_two_ways_is_refused() {
        for query in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=+1",
            "limit=1.0",
            "limit=",
            "limit",
            "limit=%201",
            "limit=4294967297",
            "limit=99999999999999999999",
            "limit=1&limit=1",
            "status=succeeded",
            "status=",
            "status=Enqueued,Running",
            "startedTimeBegin=-1",
            "startedTimeBegin=1e3",
            "startedTimeEnd=18446744073709551616",
            "startedTimeEnd=",
            "sortOrderByTime=ASC",
            "sortOrderByTime=",
            "includePayload=1",
            "includePayload=True",
            "qualifier=a.b",
            "qualifier=0",
            "prefix=%",
            "prefix=%4",
            "prefix=%4g",
            "prefix=%+4",
            "prefix=a+b",
            "prefix=%ff",
            "prefix=%00",
            "prefix=%0a",
            "prefix=%c2%85",
            "nextToken=%",
            "%6cimit=1",
            "Limit=1",
            "limit =1",
            "limit%20=1",
            "=",
            "=1",
            "prefix[]=a",
            "functionName=f",
            "invented",
        ] {
            let refused = tasks(query).unwrap_err();
            assert_eq!(refused.code(), "InvalidArgument", "{query}");
        }
        assert!(tasks(&format!("prefix={}", "a".repeat(128))).is_ok());
        let refused = tasks(&format!("prefix={}", "a".repeat(129))).unwrap_err();
        assert!(refused.message().contains("129") && refused.message().contains("128"));
        let refused = tasks("limit=101").unwrap_err();
        assert_eq!(refused.message(), "limit: must be a number from 1 to 100; is '101'");
    }

    #[test]
    fn each_operation_takes_its_own_parameters() {
        let query = |text| Query::new(Some(text));
        assert_eq!(query("").qualifier().unwrap(), None);
        assert_eq!(query("qualifier=7").qualifier().unwrap(), Some("7".parse().unwrap()));
        assert_eq!(query("qualifier=%70rod").qualifier().unwrap(), Some("prod".parse().unwrap()));
        assert!(query("limit=1").qualifier().is_err());
        let (function, limit, token) =
            query("functionName=f&limit=2&nextToken=t").configs().unwrap();
        assert_eq!((function.as_deref(), limit, token.as_deref()), (Some("f"), 2, Some("t")));
        assert_eq!(query("").configs().unwrap(), (None, 20, None));
        assert!(query("qualifier=a").configs().is_err() && query("limit=0").configs().is_err());
    }

    proptest! {
        /// Whatever is sent is read or refused, and within its bounds if it is read.
        #[test]
        fn t9_no_query_breaks_the_parser(query in "\\PC{0,60}|[a-zA-Z%&=+0-9]{0,60}") {
            let query = Query::new(Some(&query));
            if let Ok(tasks) = query.tasks() {
                prop_assert!((1..=100).contains(&tasks.limit) && tasks.prefix.len() <= 128);
            }
            let _ = query.configs();
            let _ = query.qualifier();
        }

        /// The same of what looks like a query.
        #[test]
        fn t9_no_near_query_breaks_the_parser(
            pairs in prop::collection::vec(
                (
                    "prefix|status|limit|nextToken|startedTimeBegin|includePayload|qualifier|x",
                    "[a-z]{0,4}|[0-9]{0,22}|(%[0-9a-fA-FgG+]{0,2}){0,5}|\\PC{0,4}",
                ),
                0..6,
            ),
        ) {
            let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            if let Ok(read) = tasks(&query.join("&")) {
                prop_assert!((1..=100).contains(&read.limit));
                prop_assert!(!read.prefix.chars().any(char::is_control));
            }
        }

        /// Encoding is undone exactly once, for any text.
        #[test]
        fn t9_any_text_survives_its_encoding(text in "[^\\p{Cc}]{0,20}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode("prefix", &encoded).unwrap(), text);
        }
    }
}
