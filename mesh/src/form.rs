//! The form in which proxies get what objects say. Pure.
//!
//! What changes the configuration of every proxy would reach all of them at once when a new version of the control plane starts, and
//! Envoy ends connections of a chain of filters that changes after its drain time. So such a change belongs to a form, and the proxies
//! of a virtual node or gateway get the newest form that was known when that was created or last updated
//! (`docs/adr/0042-forms-of-snapshots.md`).

use fleetmesh_api::tags::HTTP_TAGS;
use fleetmesh_model::tag::Tags;
use jiff::Timestamp;

/// A form; a later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// That of releases that had no forms.
    First,
    /// Upgrades in HTTP/2 and of more kinds, hosts that end in a dot, a retry on the last hop.
    Second,
}

/// Since when objects are served in each form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms {
    /// Since when [`Form::Second`] is known to the store.
    pub second: Timestamp,
}

/// A store that was never used by a program without forms.
impl Default for Forms {
    fn default() -> Self {
        Self { second: Timestamp::MIN }
    }
}

impl Forms {
    /// The form in which the proxies of a virtual node or gateway with these `tags` get their configuration. Tags about HTTP need the
    /// newest.
    pub fn of(self, tags: &Tags, last_updated_at: Timestamp) -> Form {
        let tagged = HTTP_TAGS.iter().any(|tag| tags.contains_key(*tag));
        if tagged || last_updated_at >= self.second { Form::Second } else { Form::First }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn what_was_there_before_a_form_was_known_gets_it_when_it_changes() {
        let (tags, then) = (Tags::new(), Timestamp::UNIX_EPOCH);
        assert_eq!(Forms::default().of(&tags, then), Form::Second);
        let forms = Forms { second: then + SignedDuration::from_millis(1) };
        assert_eq!(forms.of(&tags, then), Form::First);
        assert_eq!(forms.of(&tags, forms.second), Form::Second, "it was updated");
    }

    #[test]
    fn a_tag_about_http_asks_for_the_newest_form() {
        let (mut tags, forms) = (Tags::new(), Forms { second: Timestamp::MAX });
        tags.insert("team".into(), "a".into());
        assert_eq!(forms.of(&tags, Timestamp::UNIX_EPOCH), Form::First);
        tags.insert(HTTP_TAGS[2].into(), "false".into());
        assert_eq!(forms.of(&tags, Timestamp::UNIX_EPOCH), Form::Second);
    }
}
