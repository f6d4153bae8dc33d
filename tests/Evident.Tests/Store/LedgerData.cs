using Evident.Ledger;
using Evident.Platform;

namespace Evident.Tests.Store;

/// <summary>A store whose ledger says all kinds of things, most of which the appliance does not write by itself yet.</summary>
internal static class LedgerData
{
    /// <summary>Closes the store, appends the drafts to its ledger in groups of <paramref name="group"/>, and opens it again.</summary>
    public static void Append(TemporaryStore at, IReadOnlyList<EntryDraft> drafts, int group = 64)
    {
        at.Store.Close();
        using (var log = LedgerLog.Open(
            new LedgerOptions { Directory = Path.Combine(at.Data, "ledger"), KeysDirectory = Path.Combine(at.Data, "keys") }, null, null, at.Clock, out _))
        {
            for (int i = 0; i < drafts.Count; i += group)
            {
                log.Append([.. drafts.Skip(i).Take(group)]);
            }

            log.Close();
        }

        at.Reopen();
    }

    /// <summary>Entries of many types; the clock of the appliance jumps now and then.</summary>
    public static List<EntryDraft> Random(int seed, int count)
    {
        var random = new Random(seed);
        long time = 1_778_047_200_000;
        var drafts = new List<EntryDraft>(count);
        for (int i = 0; i < count; i++)
        {
            time += random.Next(400) == 0 ? random.Next(-100_000_000, 100_000_000) : random.Next(0, 5_000);
            drafts.Add(One(random, $"{seed}-{i}", Rfc3339.FormatMillis(time)));
        }

        return drafts;
    }

    private static EntryDraft One(Random random, string id, string recorded)
    {
        string Pick(params string[] of) => of[random.Next(of.Length)];
        string? Perhaps(string word) => random.Next(4) == 0 ? null : word;
        int kind = random.Next(12);
        string type = kind switch { < 4 => "tool.call", < 6 => "approval.decision", 6 => "policy.decision", 7 => "vault.read", 8 => "ledger.heartbeat", 9 => "ledger.anchor", 10 => "alert.raised", _ => "access.login" };
        return EntryDraft.Create(type, id, entry =>
        {
            entry.Set("recorded", recorded).Set("workspace", "default");
            if (kind < 7)
            {
                entry.SetIf("tenant_id", Perhaps(Pick("t_1", "t_2", "t_3"))).SetIf("workflow_id", Perhaps(Pick("refund_v7", "triage_v2"))).SetIf("run_id", Perhaps($"run_{random.Next(40)}"));
                entry.Set("trace_id", random.Next(60).ToString("x32", System.Globalization.CultureInfo.InvariantCulture)).Set("span_id", random.Next(1, 9).ToString("x16", System.Globalization.CultureInfo.InvariantCulture));
                entry.Set("actor", a => a.Set("kind", "agent").SetIf("id", Perhaps(Pick("a_1", "a_2"))));
                entry.Set("action", a => a.Set("type", "tool.call").Set("tool_name", Pick("refund.submit", "gmail.send", "crm.update")).Set("side_effect_level", Pick("write", "irreversible", "unknown")));
            }

            if (kind is 4 or 5 || (kind < 4 && random.Next(2) == 0))
            {
                entry.Set("approval", a => a.Set("state", Pick("approved", "rejected", "expired")).SetIf("approver_id", Perhaps(Pick("s_901", "s_902", "a_1"))).SetIf("args_match", random.Next(3) == 0 ? null : random.Next(2) == 0));
            }

            switch (type)
            {
                case "policy.decision": entry.Set("policy", p => p.Set("decision", "allow")); break;
                case "vault.read": entry.Set("actor", a => a.Set("kind", "uid").Set("id", "1000")).Set("vault", v => v.Set("ref", "vr_01HZX0000000000000000000A0")); break;
                case "ledger.heartbeat": entry.Set("heartbeat", h => h.Set("state", "running").Set("interval_ms", 60_000)); break;
                case "ledger.anchor":
                    entry.Set("actor", a => a.Set("kind", "uid").Set("id", "1000"))
                        .Set("anchor", a => a.Set("kind", "cosignature").Set("witness", "auditor-1").Set("key_id", "0a1b2c3d").Set("time", "2026-05-06T06:00:00.000Z").Set("file", "none.note")
                            .Set("head", h => h.Set("size", random.Next(1, 500)).Set("root", "sha256:" + new string('0', 64))));
                    break;
                case "alert.raised": entry.Set("alert", a => a.Set("rule", "r").Set("alert_id", id).SetIf("tenant_id", Perhaps("t_1")).SetIf("tool_name", Perhaps("refund.submit")).SetIf("run_id", Perhaps("run_1"))); break;
                case "access.login": entry.Set("actor", a => a.Set("kind", "staff").Set("id", Pick("s_901", "s_902"))).SetIf("tenant_id", Perhaps("t_2")); break;
            }
        });
    }
}
