//! How good a model is: the mean IoU of the job that it is the one member of.

use super::{Bench, put_aside, with_one_member};
use crate::coordination::Coordination;
use crate::exit::{Exit, Fatal};
use crate::job::{JobFile, Silent};
use crate::run::{InProcessCluster, OVERDUE_AFTER};
use crate::run_folder::RunFolder;
use crate::say;
use crate::summary::LastSeen;
use crate::threads::Threads;
use marquetry_coordinator::PlanMemory;
use marquetry_model::Device;
use marquetry_spec::{EVALUATION, Evaluation, Nights, Output};
use std::cell::RefCell;
use std::time::Instant;

/// Models kept open by all lanes, MB: there is one.
const MODELS_MB: u64 = 4096;

/// Scores models on a job whose images have truth. What is seen of images and labels is remembered from one model to the next.
pub(crate) struct Scores<'a> {
    bench: &'a Bench<'a>,
    job: &'a str,
    memory: PlanMemory,
    said: RefCell<Vec<(String, f64)>>,
}

impl<'a> Scores<'a> {
    /// Of a job that has truth.
    pub(crate) fn new(bench: &'a Bench<'a>, job: &'a str) -> Self {
        Self { bench, job, memory: PlanMemory::default(), said: RefCell::default() }
    }

    /// The mean IoU of `what` over the data set, `dataset` of an evaluation; said as soon as it is known.
    pub(crate) fn of(&self, what: &str, onnx: &[u8]) -> Result<f64, Fatal> {
        let score = self.mean_iou(onnx)?;
        say::note(&format!("mean IoU {score:.4}  {what}"));
        self.said.borrow_mut().push((what.to_owned(), score));
        Ok(score)
    }

    /// All that was scored, in its order.
    pub(crate) fn said(&self) -> Vec<(String, f64)> {
        self.said.borrow().clone()
    }

    fn mean_iou(&self, onnx: &[u8]) -> Result<f64, Fatal> {
        let bench = self.bench;
        let number = self.said.borrow().len();
        let folder = bench.scratch.join(format!("score-{number}"));
        let failed = |error: std::io::Error| {
            Fatal::new(Exit::Unavailable, format!("cannot write {}: {error}", folder.display()))
        };
        std::fs::create_dir(&folder).map_err(failed)?;
        let model = put_aside(&folder, onnx, "model.onnx")?;
        let mut job = with_one_member(JobFile::read(self.job, &bench.storage.files)?, self.job, &model)?;
        job.spec.outputs = vec![Output::Evaluation(Evaluation { boundary_px: None, tolerance_px: 1 })];
        job.spec.nights = Nights { keep: 0 };
        job.spec.tiles.keep = false;
        let place = RunFolder::open(&folder.join("store").display().to_string(), bench.storage, bench.tokio)?;
        let (files, memory) = (&bench.storage.files, Some(&self.memory));
        let planned = job.plan_with(files, bench.runtime, place.scratch.clone(), memory, &Silent)?;
        planned.settle_outputs(&mut job.spec);
        if planned.images.is_empty() {
            return Err(Fatal::new(Exit::BadJob, format!("no image of {} can be used", self.job)));
        }
        let store = (place.uri.clone(), place.store.clone());
        let coordination = Coordination::prepare_quietly(
            job,
            planned,
            files,
            store,
            place.scratch.clone(),
            Instant::now(),
            OVERDUE_AFTER,
        )?;
        let out = coordination.folder();
        let local = InProcessCluster {
            storage: bench.storage.clone(),
            scratch: place.scratch.clone(),
            runtime: bench.runtime.clone(),
            device: Device::Cpu,
            threads: Threads::choose(None, None),
            models_mb: MODELS_MB,
        };
        let mut seen = LastSeen::default();
        bench.tokio.block_on(async {
            let ended = local.compute(&coordination, &mut seen, std::future::pending()).await?;
            coordination.finish(ended, Vec::new()).await
        })?;
        let path = format!("{}/{EVALUATION}/evaluation.json", out.trim_end_matches('/'));
        let bytes = std::fs::read(&path).map_err(failed)?;
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let score = document["mean_iou"]["dataset"].as_f64();
        let _ = std::fs::remove_dir_all(&folder);
        score.ok_or_else(|| {
            Fatal::new(
                Exit::BadJob,
                format!("{}: no pixel of the truth has a class, so no model can be judged", self.job),
            )
        })
    }
}
