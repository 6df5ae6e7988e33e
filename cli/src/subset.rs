//! A part of a job, said on the command line.

use crate::exit::{Exit, Fatal};
use clap::Args;
use marquetry_spec::{JobSpec, Subset};

#[derive(Args)]
pub(crate) struct SubsetArgs {
    /// Members of these tags alone: `fold=0,seed=1`, with `|` between values of which any will do (`seed=1|2`).
    #[arg(long, value_name = "TAG=VALUE,…", value_parser = tags)]
    members: Option<Tags>,
    /// A share of the images alone, drawn by their ids: 0.1 is every tenth.
    #[arg(long, value_name = "SHARE")]
    sample: Option<f64>,
    /// With --sample: a column of the list of images, of each value of which that share is drawn.
    #[arg(long, value_name = "COLUMN", requires = "sample")]
    stratify: Option<String>,
    /// With --sample: another number draws other images.
    #[arg(long, value_name = "N", requires = "sample")]
    seed: Option<u64>,
}

/// Tags and their values.
type Tags = std::collections::BTreeMap<String, String>;

fn tags(text: &str) -> Result<Tags, String> {
    let pair = |pair: &str| {
        let (tag, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is no TAG=VALUE"))?;
        Ok((tag.trim().to_lowercase(), value.trim().to_owned()))
    };
    text.split(',').map(pair).collect()
}

impl SubsetArgs {
    /// Says it in the job, in place of what the job says itself.
    ///
    /// # Errors
    /// When the job would be none.
    pub(crate) fn apply(&self, spec: &mut JobSpec) -> Result<(), Fatal> {
        let Subset { members, sample, stratify, seed } = &mut spec.subset;
        if let Some(tags) = &self.members {
            members.clone_from(tags);
        }
        if let Some(share) = self.sample {
            (*sample, *stratify, *seed) = (share, self.stratify.clone(), self.seed.unwrap_or(0));
            if !(share > 0.0 && share <= 1.0) {
                return Err(Fatal::new(
                    Exit::Usage,
                    format!("--sample {share}: it is a share above 0, at most 1"),
                ));
            }
        }
        Ok(())
    }
}
