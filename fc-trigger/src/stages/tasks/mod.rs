//! What the management API says of asynchronous invocations (`alibaba-fc.md` 1.2, 3.3, 3.6).

mod call;
mod query;
mod serve;

use std::sync::Arc;

use fc_core::{Error, FunctionName, Qualifier, Result, TaskQuery, Tasks};

pub(super) use call::Call;
use query::Query;

/// What is asked for, and of whom.
#[derive(Debug)]
pub(super) struct Order {
    tasks: Arc<dyn Tasks>,
    operation: Operation,
}

impl Order {
    pub(super) fn new(tasks: &Arc<dyn Tasks>, call: Call<'_>, query: Option<&str>) -> Result<Self> {
        let operation = Operation::new(call, Query::new(query))?;
        Ok(Self { tasks: tasks.clone(), operation })
    }
}

/// One operation, with all that its path and query say.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Operation {
    ListTasks { function: FunctionName, query: TaskQuery },
    GetTask { function: FunctionName, id: String, qualifier: Option<Qualifier> },
    StopTask { function: FunctionName, id: String, qualifier: Option<Qualifier> },
    PutConfig { function: FunctionName, qualifier: Qualifier },
    GetConfig { function: FunctionName, qualifier: Qualifier },
    DeleteConfig { function: FunctionName, qualifier: Qualifier },
    ListConfigs { function: Option<FunctionName>, limit: u32, next_token: Option<String> },
}

impl Operation {
    fn new(call: Call<'_>, query: Query<'_>) -> Result<Self> {
        match call {
            Call::ListTasks { function } => {
                Ok(Self::ListTasks { function: named(function)?, query: query.tasks()? })
            }
            Call::GetTask { function, id } => {
                let (function, id, qualifier) =
                    (named(function)?, id.to_owned(), query.qualifier()?);
                Ok(Self::GetTask { function, id, qualifier })
            }
            Call::StopTask { function, id } => {
                let (function, id, qualifier) =
                    (named(function)?, id.to_owned(), query.qualifier()?);
                Ok(Self::StopTask { function, id, qualifier })
            }
            Call::PutConfig { function } => {
                let (function, qualifier) = (named(function)?, query.qualifier()?);
                Ok(Self::PutConfig { function, qualifier: qualifier.unwrap_or_default() })
            }
            Call::GetConfig { function } => {
                let (function, qualifier) = (named(function)?, query.qualifier()?);
                Ok(Self::GetConfig { function, qualifier: qualifier.unwrap_or_default() })
            }
            Call::DeleteConfig { function } => {
                let (function, qualifier) = (named(function)?, query.qualifier()?);
                Ok(Self::DeleteConfig { function, qualifier: qualifier.unwrap_or_default() })
            }
            Call::ListConfigs => {
                let (function, limit, next_token) = query.configs()?;
                let function = function.as_deref().map(named).transpose()?;
                Ok(Self::ListConfigs { function, limit, next_token })
            }
        }
    }
}

/// A name that no function can have is no function's.
fn named(name: &str) -> Result<FunctionName> {
    FunctionName::new(name).map_err(|_| Error::function_not_found(&shown(name)))
}

/// Enough of a caller's text to recognise it by.
fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 128;
    text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect()
}
