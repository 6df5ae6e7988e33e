//! What is said when ONNX Runtime is not there. A process of its own, since one that has loaded it never loads again.

use marquetry_model::{Runtime, RuntimeError, RuntimeSearch};

#[test]
fn each_place_is_listed_with_what_was_there_and_one_command_brings_it() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("libonnxruntime.so.1.31.1");
    std::fs::write(&broken, "not a library").unwrap();
    let search = RuntimeSearch {
        explicit: None,
        beside: Some(dir.path().to_path_buf()),
        pythons: vec!["/nowhere/python".into()],
        ..Default::default()
    };
    let error = Runtime::load(&search).unwrap_err();
    assert!(matches!(&error, RuntimeError::NotFound { looked } if looked.len() == 2), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(&format!("{}: cannot be loaded", broken.display())), "{message}");
    assert!(message.contains("package of /nowhere/python: not run"), "{message}");
    assert_eq!(message.matches("pip install onnxruntime==").count(), 1, "{message}");

    // A path that was named is the only one tried, whatever else is there.
    let search =
        RuntimeSearch { explicit: Some("/nowhere/named.so".into()), ..RuntimeSearch::from_process() };
    let message = Runtime::load(&search).unwrap_err().to_string();
    assert!(message.contains("/nowhere/named.so: no such file"), "{message}");
    assert!(!message.contains("package of"), "{message}");

    // A failed search does not stand in the way of a later one.
    let runtime = Runtime::load(&RuntimeSearch::from_process()).unwrap();
    assert!(runtime.path().is_file());
}
