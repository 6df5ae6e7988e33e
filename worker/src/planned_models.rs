//! The bytes of models: those that were planned, or none.

use crate::Failure;
use marquetry_job::{Member, hash};
use marquetry_model::{ExternalData, ModelFiles, read_model};
use marquetry_transport::Files;
use marquetry_transport::uri::{join, parent};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Reads models. Lanes open the same model one after the other, so the last one is shared for as long as one has it.
pub(crate) struct PlannedModels {
    files: Files,
    read: Mutex<Read>,
    fetched: Fetched,
}

#[derive(Default)]
struct Read {
    last: Option<(String, Weak<ModelFiles>)>,
    /// Length of each model by the hash of its content, bytes.
    lengths: HashMap<String, u64>,
}

/// Models whose files are on this machine, by the hash of their content. Those that the cache has let go since are
/// fetched when they are read.
type Fetched = Mutex<HashSet<String>>;

impl PlannedModels {
    pub(crate) fn new(files: Files) -> Self {
        Self { files, read: Mutex::default(), fetched: Fetched::default() }
    }

    /// Has all files of a model on this machine.
    pub(crate) fn fetch(&self, member: &Member) -> Result<(), Failure> {
        let content = member.content_hash();
        let fetched = || self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched().contains(&content) {
            return Ok(());
        }
        self.files.local(&member.onnx, None, Some(&member.sha256))?;
        for file in &member.external {
            let uri = join(&parent(&member.onnx), &file.location);
            self.files.local(&uri, None, Some(&file.sha256))?;
        }
        fetched().insert(content);
        Ok(())
    }

    /// All files of a model, as they were when the job was planned. They go when the last one who asked has let go.
    pub(crate) fn read(&self, member: &Member) -> Result<Arc<ModelFiles>, Failure> {
        let content = member.content_hash();
        // Held while reading, so that several lanes read a model once.
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let last = read.last.as_ref().filter(|(hash, _)| *hash == content);
        if let Some(model) = last.and_then(|(_, model)| model.upgrade()) {
            return Ok(model);
        }
        let onnx = self.planned_bytes(&member.onnx, &member.sha256)?;
        let mut external = Vec::with_capacity(member.external.len());
        for file in &member.external {
            let uri = join(&parent(&member.onnx), &file.location);
            let bytes = self.planned_bytes(&uri, &file.sha256)?.into();
            external.push(ExternalData { location: file.location.clone(), bytes });
        }
        let model = Arc::new(ModelFiles { onnx, external });
        read.lengths.insert(content.clone(), model.bytes());
        read.last = Some((content, Arc::downgrade(&model)));
        Ok(model)
    }

    /// Bytes of all files of a model that was read.
    pub(crate) fn bytes(&self, member: &Member) -> u64 {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.lengths.get(&member.content_hash()).copied().unwrap_or(0)
    }

    /// The bytes of a file that had this hash when the job was planned.
    fn planned_bytes(&self, uri: &str, sha256: &str) -> Result<Vec<u8>, Failure> {
        let file = self.files.local(uri, None, Some(sha256))?;
        let bytes = read_model(file.path())?;
        if hash(&[&bytes]) == sha256 {
            return Ok(bytes);
        }
        Err(Failure::reject(format!(
            "{uri} has changed since the job was planned; run the job again to plan it anew"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_failure::FailureClass;
    use marquetry_job::ExternalFile;

    #[test]
    fn every_file_of_a_model_is_the_one_that_was_planned() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        write("fold_0/m.onnx", b"graph");
        write("fold_0/m.onnx.data", b"weights");
        write("fold_0/more/b.bin", b"biases");
        let external = [("m.onnx.data", &b"weights"[..]), ("more/b.bin", b"biases")]
            .map(|(location, bytes)| ExternalFile { location: location.into(), sha256: hash(&[bytes]) });
        let mut member = crate::context::tests::members(&[0]).remove(0);
        member.onnx = folder.path().join("fold_0/m.onnx").display().to_string();
        member.sha256 = hash(&[b"graph"]);
        let alone = member.content_hash();
        member.external = external.into();
        assert_ne!(member.content_hash(), alone);

        let models = PlannedModels::new(Files::local_only());
        let model = models.read(&member).unwrap();
        assert_eq!(model.onnx, b"graph");
        let bytes: Vec<&[u8]> = model.external.iter().map(|file| &file.bytes[..]).collect();
        assert_eq!(bytes, [&b"weights"[..], b"biases"]);
        assert_eq!(models.bytes(&member), 5 + 7 + 6);

        // While one lane holds it, it is not read again; then every file is looked at.
        write("fold_0/m.onnx.data", b"changed");
        assert!(Arc::ptr_eq(&model, &models.read(&member).unwrap()));
        drop(model);
        let failure = models.read(&member).unwrap_err();
        assert_eq!(failure.class, FailureClass::Input);
        assert!(failure.reason.contains("m.onnx.data has changed since the job was planned"), "{failure}");
        // Other weights are another model, which nothing that is open stands for.
        let mut changed = member.clone();
        changed.external[0].sha256 = hash(&[b"changed"]);
        assert_ne!(changed.content_hash(), member.content_hash());
        let key = |member: &Member| {
            crate::network::NetworkKey::new(member, &crate::context::tests::signature(3, 8))
        };
        assert_ne!(key(&changed), key(&member));
        assert_eq!(&models.read(&changed).unwrap().external[0].bytes[..], b"changed");
    }
}
