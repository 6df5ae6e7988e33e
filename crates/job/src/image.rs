//! One image of a job, as it is planned.

use crate::hash;
use marquetry_geometry::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One image of a job. It travels with every message about it, so that nobody needs the list of all images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedImage {
    /// Its id: unique in the job.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// Names the image, its content and who scores it: 16 hexadecimal digits. Unique in the job, and the same wherever the
    /// image lies.
    pub key: String,
    /// Names the image and its content alone, where `key` names who scores it too: 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Names the files as they were when the image was planned: 16 hexadecimal digits. What is read later must be those.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The names of the files in its folder that speak of it too: world files, masks, `x.tif.aux.xml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sidecars: Vec<String>,
    /// Its size, px, after any rotation that its metadata asks for.
    pub size: Size,
    /// Number of bands.
    pub bands: u16,
    /// What the list of images says of it beside its id and path: `fold`, `label`, `group`, any other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The members that score it: places among all members of the plan, ascending. All of them if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<u32>>,
    /// Names the labels that are right for it, where there are any and something is made of them: 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
}

impl PlannedImage {
    /// The key of image `id` whose content is named `content`, scored by `members`, all if not given. Two images of one file
    /// have two keys; one that is moved keeps its own.
    pub fn key_of(id: &str, content: &str, members: Option<&[u32]>) -> String {
        let content = hash(&[id.as_bytes(), b"\n", content.as_bytes()]);
        let content = content[..16].to_owned();
        members.map_or(content.clone(), |members| key_of_scored(&content, members))
    }

    /// The image, scored by `members` only: places among all members of the plan. The other members' tiles would hold
    /// other scores, so its key is another one.
    #[must_use]
    pub fn scored_by(mut self, mut members: Vec<u32>) -> Self {
        members.sort_unstable();
        let content = self.content.take().unwrap_or(self.key);
        self.key = key_of_scored(&content, &members);
        self.content = Some(content);
        self.members = Some(members);
        self
    }

    /// The image, of which the region that is named `region` is computed ([`crate::ImageRegion::name`]). Tiles hold nothing
    /// outside of it, so its keys are others. To be said before who scores it.
    #[must_use]
    pub fn within(self, region: &str) -> Self {
        let key = hash(&[self.key.as_bytes(), b"\nregion\n", region.as_bytes()])[..16].to_owned();
        Self { key, ..self }
    }

    /// Names the image and its content, whoever scores it: tiles of a member are the same beside whichever others.
    pub fn content_key(&self) -> &str {
        self.content.as_deref().unwrap_or(&self.key)
    }

    /// Names what is made of the image: its key, and its truth if that is part of it. With another truth its tiles stay.
    pub fn result_name(&self) -> String {
        self.truth.as_ref().map_or_else(|| self.key.clone(), |truth| format!("{}-{truth}", self.key))
    }

    /// The key of the image in a [`result_name`](Self::result_name).
    pub fn key_in(result_name: &str) -> &str {
        result_name.split('-').next().unwrap_or(result_name)
    }

    /// The [`version`](Self::version) of files that are named by `fingerprint`.
    pub fn version_of(fingerprint: &str) -> String {
        hash(&[fingerprint.as_bytes()])[..16].to_owned()
    }

    /// Whether files that are named by `fingerprint` are those that were planned.
    pub fn is_version(&self, fingerprint: &str) -> bool {
        Self::version_of(fingerprint) == self.version
    }

    /// Whether the member at place `member` among all members of the plan scores it.
    pub fn is_scored_by(&self, member: usize) -> bool {
        self.members.as_ref().is_none_or(|members| members.binary_search(&(member as u32)).is_ok())
    }
}

fn key_of_scored(content: &str, members: &[u32]) -> String {
    hash(&[content.as_bytes(), format!("\n{members:?}").as_bytes()])[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_content_and_members_apart() {
        let image = |members: Option<Vec<u32>>| {
            let all = PlannedImage {
                id: "a".into(),
                uri: "a.png".into(),
                sidecars: Vec::new(),
                version: String::new(),
                key: PlannedImage::key_of("a", "12", None),
                content: None,
                size: Size::new(1, 2),
                bands: 3,
                tags: BTreeMap::new(),
                members: None,
                truth: None,
            };
            members.map_or(all.clone(), |members| all.scored_by(members))
        };
        assert_eq!(image(Some(vec![2, 0])).key, PlannedImage::key_of("a", "12", Some(&[0, 2])));
        assert_eq!(image(Some(vec![2, 0])).members, Some(vec![0, 2]));
        let keys = [image(None).key, image(Some(vec![0])).key, image(Some(vec![0, 2])).key];
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "{keys:?}");
        let again = image(Some(vec![0])).scored_by(vec![2, 0]);
        assert_eq!(again.key, image(Some(vec![0, 2])).key, "who scored it before is forgotten");
        for scored in [image(None), image(Some(vec![0])), again] {
            assert_eq!(scored.content_key(), image(None).key);
        }
        let within = |region: &str, scored: &[u32]| image(None).within(region).scored_by(scored.to_vec());
        assert_ne!(image(None).within("r").key, image(None).key);
        assert_ne!(within("r", &[0]).content_key(), within("s", &[0]).content_key());
        assert_eq!(within("r", &[0]).content_key(), within("r", &[2]).content_key());
        assert!(image(None).is_scored_by(7) && !image(Some(vec![2, 0])).is_scored_by(1));
    }
}
