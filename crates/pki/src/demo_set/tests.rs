use oauth_core::certificate::ClientCertificate;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn set() -> DemoSet {
    DemoSet::create(KeyAlgorithm::EcdsaP256, NOW).unwrap()
}

fn read(set: &DemoSet, member: Member) -> ClientCertificate {
    ClientCertificate::from_der(set.identity(member).certificate().der()).unwrap()
}

/// Which of the five faults a client certificate has.
fn faults(set: &DemoSet, member: Member) -> Vec<&'static str> {
    let certificate = set.identity(member).certificate();
    let read = read(set, member);
    let checks = [
        ("another root", !set.root().has_issued(certificate)),
        ("expired", NOW > read.not_after()),
        ("not yet valid", NOW < read.not_before()),
        ("revoked", set.revocation_list().lists(certificate)),
        ("no clientAuth", !read.has_client_auth_usage()),
    ];
    checks
        .into_iter()
        .filter(|(_, is_so)| *is_so)
        .map(|(fault, _)| fault)
        .collect()
}

#[test]
fn gives_good_clients_no_fault() {
    let set = set();
    for member in [Member::Example, Member::Other, Member::Gateway] {
        assert_eq!(faults(&set, member), [""; 0], "{member:?}");
    }
}

/// T3, T4, T5, T6, T13: the fixtures behind them.
#[test]
fn gives_each_refused_client_its_one_fault_and_the_partners_name() {
    let set = set();
    for (member, fault) in [
        (Member::Rogue, "another root"),
        (Member::Expired, "expired"),
        (Member::NotYetValid, "not yet valid"),
        (Member::Revoked, "revoked"),
        (Member::ServerOnly, "no clientAuth"),
    ] {
        assert_eq!(faults(&set, member), [fault], "{member:?}");
        assert_eq!(read(&set, member).subject().to_string(), "CN=demo-partner");
    }
    let rogue = set.identity(Member::Rogue).certificate();
    assert_eq!(rogue.tbs().issuer(), set.root().certificate().tbs().subject());
}

#[test]
fn names_servers_by_every_host_they_answer_to() {
    let set = set();
    for (member, hosts) in [
        (
            Member::Login,
            &["login.example.com", "login-internal.example.com", "localhost"][..],
        ),
        (Member::Api, &["api.example.com", "localhost"]),
        (Member::ApiInternal, &["api-internal.example.com", "localhost"]),
    ] {
        let read = read(&set, member);
        assert_eq!(read.subject_alternative_names().dns_names(), hosts);
        let addresses = read.subject_alternative_names().ip_addresses();
        assert_eq!(
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["127.0.0.1", "::1"]
        );
    }
    let gateway = read(&set, Member::Gateway);
    assert_eq!(
        gateway.subject_alternative_names().dns_names(),
        ["gateway-internal.example.com"]
    );
}

#[test]
fn gives_every_member_its_own_identity() {
    let set = set();
    for (index, member) in Member::ALL.into_iter().enumerate() {
        assert_eq!(member as usize, index);
    }
    let mut serials: Vec<_> = Member::ALL
        .iter()
        .map(|member| set.identity(*member).certificate().serial())
        .collect();
    serials.sort_unstable();
    serials.dedup();
    assert_eq!(serials.len(), Member::ALL.len());
}

#[test]
fn finds_nothing_stale_in_a_fresh_set_and_all_but_one_after_ten_years() {
    let set = set();
    let stale_at = |now: Timestamp| {
        let is_stale = |member: &Member| member.is_stale(set.identity(*member).certificate(), now);
        Member::ALL.into_iter().filter(is_stale).collect::<Vec<_>>()
    };
    assert_eq!(stale_at(NOW), []);
    let after_ten_years = stale_at(NOW.plus(ROOT_DAYS * DAY));
    assert_eq!(after_ten_years.len(), Member::ALL.len() - 1);
    assert!(
        !after_ten_years.contains(&Member::Expired),
        "it is there to be expired"
    );
}

/// The fixture's start lies beyond the end of a root that has lived for a while.
#[test]
fn makes_the_not_yet_valid_fixture_anew_late_in_a_roots_life() {
    let root = Root::create(KeyAlgorithm::EcdsaP256, NOW).unwrap();
    let late = NOW.plus((ROOT_DAYS - 30) * DAY);
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let identity = Member::NotYetValid.issue(&root, key, late).unwrap();
    assert!(!Member::NotYetValid.is_stale(identity.certificate(), late));
}
