using System.Text;
using Evident.Ingest;
using Evident.Store;

namespace Evident.Tests.Store;

/// <summary>Staff stand in traces and ledger as pseudonyms; who they are lies sealed, and is told only to those whom the ledger names.</summary>
public sealed class IdentityTests
{
    private const string Anna = "anna.schmidt@corp.example";

    private static readonly Actor Auditor = new("1000", "uid");

    private static Sent Approval(ulong span, string approver) =>
        new Sent(1, span, "approval").With(("approval.state", "approved"), ("tool.name", "refund.submit"), ("approval.id", $"a{span}"), ("approver_id", approver)) with { At = span };

    private static string[] Approvers(TemporaryStore at) => [.. at.Ledger().Where(e => e.Type == "approval.decision").Select(e => e.Json.GetProperty("approval").GetProperty("approver_id").GetString()!)];

    private static string? Reveal(TemporaryStore at, string id, string reason = "audit") => at.Store.RevealIdentityAsync(id, reason, Auditor, default).GetAwaiter().GetResult();

    private static string[] Revealed(TemporaryStore at) => [.. at.Ledger().Where(e => e.Type == "identity.reveal").Select(e => e.Json.GetProperty("reveal").GetProperty("staff_id").GetString()!)];

    private static string PathOf(TemporaryStore at) => Path.Combine(at.Data, "identities");

    [Fact]
    public void A_pseudonym_leads_to_the_name_and_each_look_is_in_the_ledger()
    {
        using var at = new TemporaryStore();
        Assert.False(File.Exists(PathOf(at)));
        at.Send(Approval(1, Anna), Approval(2, "Bernd van der Meer"), Approval(3, "s_901"), Approval(4, Anna));
        string[] ids = Approvers(at);
        Assert.Equal(ids[0], ids[3]); // stable: grouping works
        Assert.Equal("s_901", ids[2]); // an opaque id is its own name
        at.Reopen();
        at.Send(Approval(5, Anna));
        Assert.Equal(ids[0], Approvers(at)[4]);
        Assert.Equal(2, File.ReadAllLines(PathOf(at)).Length);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(PathOf(at)));

        Assert.Equal(Anna, Reveal(at, ids[0]));
        Assert.Equal("Bernd van der Meer", Reveal(at, ids[1]));
        Assert.Null(Reveal(at, "s_00000000000000000000000000000000"));
        Assert.Equal([ids[0], ids[1], "s_00000000000000000000000000000000"], Revealed(at));
        Assert.All(at.Ledger().Where(e => e.Type == "identity.reveal"), e => Assert.StartsWith("vr_", e.Json.GetProperty("payload").GetProperty("reason").GetProperty("ref").GetString(), StringComparison.Ordinal));
        Assert.Throws<ArgumentException>(() => Reveal(at, "anna"));
        Assert.Throws<ArgumentException>(() => Reveal(at, ids[0], reason: " "));
        Assert.Equal(3, Revealed(at).Length);

        at.Close();
        foreach (string file in Directory.EnumerateFiles(at.Data, "*", SearchOption.AllDirectories))
        {
            Assert.True(File.ReadAllBytes(file).AsSpan().IndexOf("schmidt"u8) < 0, $"the name is readable in {file}");
        }
    }

    [Fact]
    public void A_secret_in_the_place_of_a_name_is_not_registered_and_neither_is_anybody_where_nothing_is_captured()
    {
        var capture = CapturePolicy.Default;
        using var at = new TemporaryStore { Adjust = o => new StoreOptions { DataDirectory = o.DataDirectory, Tools = o.Tools, IdleMillis = 2, Capture = capture } };
        at.Send(Approval(1, "token=ghp_" + "Canary7890abcdefghijABCDEFGHIJ012345"), Approval(2, "call +49 30 90182045 now"), Approval(3, new string('n', 300) + " x"), Approval(4, "line\nbreak"));
        Assert.All(Approvers(at), id => Assert.StartsWith("s_", id, StringComparison.Ordinal));
        Assert.All(Approvers(at), id => Assert.Null(Reveal(at, id)));
        capture = CapturePolicy.TryBuild(new CaptureOptions { Mode = CaptureMode.Structure }, out _)!;
        at.Reopen();
        at.Send(Approval(5, Anna));
        Assert.Null(Reveal(at, Approvers(at)[4]));
        Assert.False(File.Exists(PathOf(at)));
    }

    [Fact]
    public void A_line_opens_only_for_its_own_pseudonym_and_a_torn_one_is_written_over()
    {
        using var at = new TemporaryStore();
        at.Send(Approval(1, Anna), Approval(2, "Bernd van der Meer"));
        string[] ids = Approvers(at);
        at.Close();
        string[] lines = File.ReadAllLines(PathOf(at));
        string[] parts = [.. lines.Select(l => l.Split(' ')[1])];
        File.WriteAllText(PathOf(at), $"{ids[0]} {parts[1]}\n{ids[1]} {parts[1]}\n{lines[0][..50]}");
        Assert.Null(Reveal(at, ids[0]));
        Assert.Equal("Bernd van der Meer", Reveal(at, ids[1]));
        at.Send(Approval(3, "Clara Lind of the board"));
        at.Reopen();
        Assert.Equal("Clara Lind of the board", Reveal(at, Approvers(at)[2]));
        Assert.Equal(3, File.ReadAllLines(PathOf(at)).Length);
    }

    [Fact]
    public void The_register_is_bounded()
    {
        using var directory = new TemporaryStore();
        directory.Close();
        Directory.CreateDirectory(directory.Data);
        var log = new List<string>();
        using (var register = IdentityRegister.Open(directory.Data, () => new byte[32], (message, _) => log.Add(message)))
        {
            register.Note([.. Enumerable.Range(0, IdentityRegister.MaxEntries + 5).Select(i => new StaffName($"s_{i:x32}", $"person {i}"))]);
            Assert.Equal(IdentityRegister.MaxEntries, register.Count);
        }

        Assert.Single(log);
        using var again = IdentityRegister.Open(directory.Data, () => new byte[32], (_, _) => { });
        Assert.Equal(IdentityRegister.MaxEntries, again.Count);
        Assert.Equal("person 65535", again.Reveal($"s_{65_535:x32}"));
        using var other = IdentityRegister.Open(directory.Data, () => Encoding.ASCII.GetBytes("another key of thirty-two bytes!"), (_, _) => { });
        Assert.Null(other.Reveal($"s_{1:x32}"));
    }
}
