//! From a method and a path to an operation: the exact spelling, or none (T9).

use http::Method;

use crate::stages::route::is_segment;

/// An operation as method and path name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::stages) enum Call<'p> {
    /// `GET …/async-tasks`.
    ListTasks { function: &'p str },
    /// `GET …/async-tasks/{id}`.
    GetTask { function: &'p str, id: &'p str },
    /// `PUT …/async-tasks/{id}/stop`.
    StopTask { function: &'p str, id: &'p str },
    /// `PUT …/async-invoke-config`.
    PutConfig { function: &'p str },
    /// `GET …/async-invoke-config`.
    GetConfig { function: &'p str },
    /// `DELETE …/async-invoke-config`.
    DeleteConfig { function: &'p str },
    /// `GET /2023-03-30/async-invoke-configs`.
    ListConfigs,
}

impl<'p> Call<'p> {
    /// What `method` and `path` mean here, if anything.
    pub(in crate::stages) fn of(method: &Method, path: &'p str) -> Option<Self> {
        let path = path.strip_prefix("/2023-03-30/")?;
        let method = method.as_str();
        if path == "async-invoke-configs" {
            return (method == "GET").then_some(Self::ListConfigs);
        }
        let (function, rest) = path.strip_prefix("functions/")?.split_once('/')?;
        if !is_segment(function) {
            return None;
        }
        match (method, rest) {
            ("GET", "async-tasks") => Some(Self::ListTasks { function }),
            ("PUT", "async-invoke-config") => Some(Self::PutConfig { function }),
            ("GET", "async-invoke-config") => Some(Self::GetConfig { function }),
            ("DELETE", "async-invoke-config") => Some(Self::DeleteConfig { function }),
            (method, rest) => {
                let rest = rest.strip_prefix("async-tasks/")?;
                let (id, is_stop) = match rest.strip_suffix("/stop") {
                    Some(id) => (id, true),
                    None => (rest, false),
                };
                match (method, is_stop) {
                    _ if !is_task_id(id) => None,
                    ("GET", false) => Some(Self::GetTask { function, id }),
                    ("PUT", true) => Some(Self::StopTask { function, id }),
                    _ => None,
                }
            }
        }
    }
}

/// A caller's name for a task, or a request's id.
fn is_task_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=128).contains(&id.len()) && id.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of<'p>(method: &str, path: &'p str) -> Option<Call<'p>> {
        Call::of(&Method::from_bytes(method.as_bytes()).unwrap(), path)
    }

    #[test]
    fn asy_9_each_path_is_its_operation() {
        let (function, id) = ("f-1", "1-67a59f35-150c1267-f381ba1c085c");
        for (method, path, call) in [
            ("GET", "/2023-03-30/functions/f-1/async-tasks", Call::ListTasks { function }),
            ("GET", "/2023-03-30/functions/f-1/async-invoke-config", Call::GetConfig { function }),
            ("PUT", "/2023-03-30/functions/f-1/async-invoke-config", Call::PutConfig { function }),
            (
                "DELETE",
                "/2023-03-30/functions/f-1/async-invoke-config",
                Call::DeleteConfig { function },
            ),
            ("GET", "/2023-03-30/async-invoke-configs", Call::ListConfigs),
            (
                "GET",
                "/2023-03-30/functions/f-1/async-tasks/1-67a59f35-150c1267-f381ba1c085c",
                Call::GetTask { function, id },
            ),
            (
                "PUT",
                "/2023-03-30/functions/f-1/async-tasks/1-67a59f35-150c1267-f381ba1c085c/stop",
                Call::StopTask { function, id },
            ),
            (
                "GET",
                "/2023-03-30/functions/f-1/async-tasks/stop",
                Call::GetTask { function, id: "stop" },
            ),
        ] {
            assert_eq!(of(method, path), Some(call), "{method} {path}");
            // T9: each other method, and each other spelling, is something else.
            for other in ["GET", "PUT", "DELETE", "POST", "HEAD", "PATCH", "OPTIONS", "get"] {
                let known = path.ends_with("async-invoke-config")
                    && ["GET", "PUT", "DELETE"].contains(&other);
                if other != method && !known {
                    assert_eq!(of(other, path), None, "{other} {path}");
                }
            }
            for spelled in [
                format!("{path}/"),
                format!("/{path}"),
                path.replacen("/f-1", "/%66-1", 1),
                path.replacen("async", "%61sync", 1),
                path.replacen("async", "Async", 1),
                path.replacen("/f-1/", "//", 1),
                path.replacen("/f-1/", "/f-1//", 1),
                path.replacen("/f-1/", "/g/../f-1/", 1),
                path.replacen("/f-1/", "/f-1;x/", 1),
                path.replacen("2023-03-30", "2021-04-06", 1),
                path.replacen("/async", "/./async", 1),
                path.replacen("async", "async\0", 1),
            ] {
                if spelled != path {
                    assert_eq!(of(method, &spelled), None, "{method} {spelled}");
                }
            }
        }
    }

    #[test]
    fn t9_ids_that_need_decoding_are_nobodys() {
        let long = "a".repeat(129);
        for id in ["", "a%20b", "%61", "a.b", "a/b", "a b", "a+b", "ä", "a;b", "..", "a:b", &long]
        {
            let path = format!("/2023-03-30/functions/f/async-tasks/{id}");
            assert_eq!(of("GET", &path), None, "{path}");
            assert_eq!(of("PUT", &format!("{path}/stop")), None, "{path}/stop");
        }
        let path = format!("/2023-03-30/functions/f/async-tasks/{}", &long[1..]);
        assert!(of("GET", &path).is_some());
    }

    proptest! {
        /// Any path is read without a panic, and what is found is spelt as it was sent.
        #[test]
        fn t9_what_is_found_stands_in_the_path(
            method in "GET|PUT|DELETE",
            path in "(/2023-03-30/(functions/)?)?([a-f./%\u{e4}-]|async-tasks|async-invoke-config|/stop|/){0,8}",
        ) {
            if let Some(Call::GetTask { function, id } | Call::StopTask { function, id }) =
                of(&method, &path)
            {
                let plain = format!("/2023-03-30/functions/{function}/async-tasks/{id}");
                let stop = format!("{plain}/stop");
                prop_assert!(path == plain || path == stop);
                prop_assert!(!function.contains('/') && !id.contains('/'));
            }
        }
    }
}
