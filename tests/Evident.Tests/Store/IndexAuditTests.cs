using System.Security.Cryptography;
using Evident.Ledger;
using Evident.Store;
using Evident.Tests.Web;

namespace Evident.Tests.Store;

/// <summary>V9 and T31: whatever is hidden, edited or invented in the index of the ledger is named, and a rebuild puts it right.</summary>
public sealed class IndexAuditTests(IndexAuditTests.Template template) : IClassFixture<IndexAuditTests.Template>
{
    private const string Tool = "(SELECT id FROM word WHERE text = 'gmail.send')";

    [Theory]
    [InlineData("DELETE FROM entry WHERE seq BETWEEN 40 AND 44", "the rows of entries 40..44 in the index: each is missing")]
    [InlineData("DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)", "is missing")]
    [InlineData("UPDATE entry SET tool = (SELECT id FROM word WHERE text = 'crm.update') WHERE seq = (SELECT min(seq) FROM entry WHERE tool = " + Tool + ")", "differs in tool: the index says 'crm.update', the ledger 'gmail.send'")]
    [InlineData("UPDATE entry SET approval = NULL WHERE seq = (SELECT min(seq) FROM entry WHERE approval IS NOT NULL)", "differs in approval: the index says nothing, the ledger '")]
    [InlineData("UPDATE entry SET tool = CAST(CAST(tool AS TEXT) AS BLOB) WHERE seq = (SELECT min(seq) FROM entry WHERE tool = " + Tool + ")", "differs in tool: the index says something that is no word of it")]
    [InlineData("UPDATE entry SET recorded = recorded + 1 WHERE seq = 9", "the row of entry 9 in the index differs in recorded")]
    [InlineData("UPDATE entry SET hash = zeroblob(32), trace_id = zeroblob(16) WHERE seq = (SELECT min(seq) FROM entry WHERE trace_id IS NOT NULL)", "differs in this_hash, trace_id")]
    [InlineData("UPDATE entry SET anchored = anchored + 1 WHERE seq = (SELECT min(seq) FROM entry WHERE anchored IS NOT NULL)", "differs in anchored")]
    [InlineData("UPDATE entry SET seq = -5 WHERE seq = 50", "the row of entry 50 in the index is missing")]
    [InlineData("UPDATE word SET text = 'gmail.sent' WHERE text = 'gmail.send'", "differs in tool: the index says 'gmail.sent', the ledger 'gmail.send'")]
    [InlineData("UPDATE word SET text = CAST(text AS BLOB) WHERE text = 'gmail.send'", "differs in tool")]
    [InlineData("UPDATE word SET text = 'a' || char(27) || '[2J' WHERE text = 'gmail.send'", "differs in tool: the index says something else")]
    [InlineData("DELETE FROM word WHERE text = 's_901'", "differs in ")]
    [InlineData("UPDATE zone SET least = least + 3600000", "a search by time can miss them")]
    [InlineData("DELETE FROM zone", "a search by time can miss them")]
    [InlineData("INSERT INTO entry SELECT seq + 5000, hash, recorded, trace_id, span_id, anchored, type, workspace, tenant, workflow, run, actor_kind, actor, approver, approval, args_match, tool, level FROM entry WHERE seq = 3", "the row of entry 5003 in the index has a row above the index's own mark")]
    [InlineData("UPDATE watermark SET position = position + 10 WHERE source = 'ledger'", "entries are gone, or the mark of the index was changed")]
    [InlineData("UPDATE watermark SET position = 20 WHERE source = 'ledger'", "has a row above the index's own mark")]
    [InlineData("CREATE TRIGGER hide AFTER INSERT ON entry BEGIN DELETE FROM entry WHERE seq = new.seq; END", "a view or a trigger")]
    [InlineData("ALTER TABLE entry RENAME TO kept; CREATE VIEW entry AS SELECT * FROM kept WHERE seq <> 41", "a view or a trigger")]
    [InlineData("DROP INDEX entry_tool", "missing or not the one")]
    [InlineData("DROP INDEX entry_tool; CREATE INDEX entry_tool ON entry (tool) WHERE tool IS NOT NULL AND seq <> 41", "not the one that the appliance makes")]
    public async Task What_the_index_hides_or_invents_is_36_and_named(string sql, string sentence)
    {
        using var at = Filled(out string data);
        Change(data, sql);
        var findings = Audit(data);
        Assert.Contains(findings, f => f.Code == Verdict.IndexMismatch && f.Sentence.Contains(sentence, StringComparison.Ordinal));
        Assert.DoesNotContain(findings, f => f.Sentence.Contains('\u001b', StringComparison.Ordinal));
        var (exit, output, _) = await CommandLineTests.RunAsync("verify", data, "--index");
        Assert.Equal(36, exit);
        Assert.StartsWith("INDEX-MISMATCH (36)", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("DELETE FROM entry WHERE seq = 41")]
    [InlineData("CREATE TRIGGER hide AFTER INSERT ON entry BEGIN DELETE FROM entry WHERE seq = new.seq; END")]
    public void A_rebuild_puts_it_right(string sql)
    {
        using var at = Filled(out string data);
        Change(data, sql);
        File.Delete(Path.Combine(data, OutcomesFile.Name));
        at.Reopen();
        at.Store.FindEntries(new LedgerFilter(Type: "tool."), default);
        at.Store.Close();
        Assert.DoesNotContain(Audit(data), f => f.Code != 0);
    }

    [Fact]
    public async Task An_index_that_says_what_the_ledger_says_has_no_finding()
    {
        using var at = Filled(out string data);
        Assert.DoesNotContain(Audit(data), f => f.Code != 0);
        Assert.Equal(10, (await CommandLineTests.RunAsync("verify", data, "--index")).ExitCode);
        Assert.Equal(64, (await CommandLineTests.RunAsync("verify", Path.Combine(data, "ledger"), "--index")).ExitCode);
    }

    [Fact]
    public void Rows_that_only_an_index_of_the_file_leaves_out_are_found()
    {
        using var at = Filled(out string data);
        Change(data, "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = sql || ' AND seq <> (41)' WHERE name = 'entry_type'");
        Change(data, "REINDEX entry_type");
        Change(data, "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = replace(sql, ' AND seq <> (41)', '') WHERE name = 'entry_type'");
        Assert.Contains(Audit(data), f => f.Code == Verdict.IndexMismatch && f.Sentence.Contains("integrity_check", StringComparison.Ordinal));
    }

    [Fact]
    public void An_index_that_is_behind_is_information()
    {
        using var at = Filled(out string data);
        Change(data, "UPDATE watermark SET position = 2000 WHERE source = 'ledger'; DELETE FROM entry WHERE seq >= 2000; DELETE FROM zone WHERE block >= 2; UPDATE zone SET least = (SELECT min(recorded) FROM entry WHERE seq / 1024 = block), most = (SELECT max(recorded) FROM entry WHERE seq / 1024 = block)");
        var behind = Assert.Single(Audit(data));
        Assert.Equal((0, 2000L), (behind.Code, behind.FromSeq));
        Assert.Contains("behind", behind.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void Entries_that_only_the_index_still_knows_are_named()
    {
        using var at = Filled(out string data);
        string newer = data + "-copy";
        try
        {
            TemporaryStore.CopyDirectory(data, newer);
            File.Delete(Path.Combine(newer, "ledger", "head.a"));
            string segment = Path.Combine(newer, "ledger", "00000000000000000000.jsonl");
            var lines = File.ReadAllLines(segment);
            int cut = Array.FindLastIndex(lines, lines.Length - 200, l => l.StartsWith("{\"checkpoint\"", StringComparison.Ordinal));
            File.WriteAllText(segment, string.Concat(lines.Take(cut + 1).Select(l => l + "\n")));
            long left = lines.Take(cut + 1).Count(l => !l.StartsWith("{\"checkpoint\"", StringComparison.Ordinal));
            Assert.Contains(Audit(newer), f => f.Code == Verdict.IndexMismatch && f.FromSeq == left && f.Sentence.Contains("the ledger has no such entry", StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(newer, recursive: true);
        }
    }

    [Theory]
    [InlineData("no file", 40)]
    [InlineData("no database", 36)]
    [InlineData("other version", 40)]
    [InlineData("link", 40)]
    [InlineData("directory", 40)]
    public void What_cannot_be_compared_says_so(string how, int code)
    {
        using var at = Filled(out string data);
        string path = Path.Combine(data, OutcomesFile.Name);
        switch (how)
        {
            case "no database": File.WriteAllText(path, new string('?', 20_000)); break;
            case "other version": Change(data, "PRAGMA user_version = 1"); break;
            default:
                File.Delete(path);
                _ = how == "link" ? File.CreateSymbolicLink(path, "/dev/zero") : how == "directory" ? Directory.CreateDirectory(path) : null;
                break;
        }

        Assert.Equal(code, Assert.Single(Audit(data)).Code);
        if (how == "directory")
        {
            Directory.Delete(path);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Nothing_is_written_beside_a_stopped_index_its_log_included(bool crashed)
    {
        using var at = Filled(out string data);
        string copy = data + "-copy";
        try
        {
            if (crashed)
            {
                at.Reopen();
                at.Send(new Sent(70, 1, "tool.call").With(("tool.name", "gmail.send")));
                at.Store.FindEntries(new LedgerFilter(Tool: "gmail.send"), default);
            }

            TemporaryStore.CopyDirectory(data, copy);
            Assert.Equal(crashed, File.Exists(Path.Combine(copy, OutcomesFile.Name + "-wal")));
            string before = Fingerprint(copy);
            Assert.Equal("\n", "\n" + string.Join('\n', Audit(copy).Where(f => crashed || f.Code != 0).Select(f => f.Sentence))); // what only the log holds is compared too

            Assert.Equal(before, Fingerprint(copy));
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public void Beside_a_running_appliance_it_compares_one_state()
    {
        using var at = Filled(out string data);
        at.Reopen();
        for (ulong trace = 1; trace < 20; trace++)
        {
            at.Send(new Sent(trace, 1, "tool.call").With(("tool.name", "gmail.send")));
            Assert.DoesNotContain(Audit(data), f => f.Code != 0);
        }
    }

    private TemporaryStore Filled(out string data)
    {
        var at = new TemporaryStore(copyOf: template.Data);
        data = at.Data;
        return at;
    }

    private static void Change(string data, string sql)
    {
        using var connection = Sqlite.OpenWriter(Path.Combine(data, OutcomesFile.Name), full: false);
        Sqlite.Execute(connection, sql);
    }

    private static IReadOnlyList<Finding> Audit(string data)
    {
        long size = LedgerVerifier.Verify(new VerifyRequest { Path = data }).Entries;
        return [.. IndexAudit.Of(data)(new AuditContext(Path.Combine(data, "ledger"), size, default))];
    }

    private static string Fingerprint(string data) => string.Join('\n', Directory.EnumerateFileSystemEntries(data, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
        .Select(f => Directory.Exists(f) ? f : $"{f} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(f)))} {File.GetLastWriteTimeUtc(f):O}"));

    /// <summary>One data directory with an index, copied for each test.</summary>
    public sealed class Template : IDisposable
    {
        private readonly TemporaryStore at = new();

        public Template()
        {
            LedgerData.Append(at, LedgerData.Random(11, 2_500));
            at.Store.FindEntries(new LedgerFilter(Type: "tool."), default);
            at.Store.Close();
        }

        public string Data => at.Data;

        public void Dispose() => at.Dispose();
    }
}
