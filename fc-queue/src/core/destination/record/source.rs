//! Which function a record is of.

use fc_core::{AccountId, FunctionName, Qualifier, VersionId};

use super::RecordForm;

/// Which function a record is of.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The platform's region; may be empty.
    pub region: &'a str,
    /// Whose function.
    pub account: AccountId,
    /// Its name.
    pub function: &'a FunctionName,
    /// What was asked for.
    pub qualifier: &'a Qualifier,
    /// What ran last; what was asked for if nothing did.
    pub version: VersionId,
}

impl Source<'_> {
    /// The function's name in the cloud's form, with the qualifier that was asked for.
    pub fn name(&self, form: RecordForm) -> String {
        let Self { region, account, function, qualifier, .. } = self;
        match form {
            RecordForm::FunctionCompute => {
                format!("acs:fc:{region}:{account}:functions/{function}/{qualifier}")
            }
            RecordForm::FunctionGraph => {
                let qualifier = match qualifier {
                    Qualifier::Version(VersionId::LATEST) => "latest".to_owned(),
                    Qualifier::Version(version) => version.to_string(),
                    Qualifier::Alias(alias) => format!("!{alias}"),
                };
                format!("urn:fss:{region}:{account}:function:default:{function}:{qualifier}")
            }
            RecordForm::Lambda => {
                let qualifier = match qualifier {
                    Qualifier::Version(version) => lambda_version(*version),
                    Qualifier::Alias(alias) => alias.to_string(),
                };
                format!("arn:aws:lambda:{region}:{account}:function:{function}:{qualifier}")
            }
        }
    }

    pub(super) fn executed_version(&self) -> String {
        lambda_version(self.version)
    }
}

fn lambda_version(version: VersionId) -> String {
    if version == VersionId::LATEST { "$LATEST".to_owned() } else { version.to_string() }
}
