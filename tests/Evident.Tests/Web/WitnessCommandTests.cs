using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Evident.Configuration;
using Evident.Demo;
using Evident.Ledger;
using static Evident.Tests.Ledger.EvidenceParts;

namespace Evident.Tests.Web;

/// <summary>The whole way of a confirmation, command by command: head and request out, witness, cosignature back, filed, verified under a policy.</summary>
public sealed class WitnessCommandTests : IDisposable
{
    private readonly TemporaryDirectory temporary = new();

    private string Data => Path.Combine(temporary.Path, "d");

    private string Dir => Path.Combine(temporary.Path, "w");

    public void Dispose() => temporary.Dispose();

    [Fact]
    public async Task A_head_is_confirmed_filed_and_verified_while_the_appliance_runs_and_when_it_does_not()
    {
        string identity;
        await using (Appliance appliance = await StartAsync())
        {
            await SendAsync(appliance);
        }

        identity = await IdentityAsync();
        string vkey = (await DoneAsync("witness", "init", "--dir", Dir, "--name", "w1.example", "--log", identity)).TrimEnd('\n');
        Assert.NotNull(CosignerKey.ParseVerifierKey(vkey));
        Assert.Equal(vkey + "\n", await DoneAsync("witness", "init", "--dir", Dir)); // the same witness, nothing new
        string policy = Write("policy.txt", $"log {identity}\nwitness w1 {vkey}\nquorum w1\n");
        Assert.Equal(11, (await CommandLineTests.RunAsync("verify", Data, "--policy", policy)).ExitCode);

        // In process: nobody owns the data directory.
        string first = Write("first.note", await DoneAsync("witness", "cosign", Write("request", await DoneAsync("ledger", "head", "--since", "0", "--data", Data)), "--dir", Dir));
        long size = CheckpointOf(File.ReadAllBytes(first)).Size;
        Assert.Contains($"filed: size {size} confirmed by w1.example", await DoneAsync("ledger", "anchor", first, "--data", Data), StringComparison.Ordinal);
        Assert.Contains("filed before: ", await DoneAsync("ledger", "anchor", first, "--data", Data), StringComparison.Ordinal);
        Assert.Single(await AnchorsAsync());
        Assert.Equal(0, (await CommandLineTests.RunAsync("verify", Data, "--policy", policy, "--allow-notes")).ExitCode);

        // Through the running appliance, from the size that the witness knows.
        await using (Appliance appliance = await StartAsync())
        {
            await SendAsync(appliance);
        }

        await using (await StartAsync())
        {
            string request = Write("request", await DoneAsync("ledger", "head", "--since", $"{size}", "--data", Data)), second = Path.Combine(temporary.Path, "second.note");
            Assert.Equal("", await DoneAsync("witness", "cosign", request, "--dir", Dir, "--out", second));
            using var filed = JsonDocument.Parse(await DoneAsync("ledger", "anchor", second, "--json", "--data", Data));
            Assert.True(filed.RootElement.GetProperty("anchors")[0].GetProperty("filed").GetBoolean());
            Assert.Equal(2, (await AnchorsAsync()).Count);
            foreach (string bad in (string[])[first + "x", Write("bare", File.ReadAllBytes(second)[..^1]), Write("published", await DoneAsync("ledger", "head", "--data", Data)), Write("other", Note)])
            {
                var (code, _, stderr) = await CommandLineTests.RunAsync("ledger", "anchor", bad, "--data", Data);
                Assert.Equal(1, code);
                Assert.Single(stderr.TrimEnd('\n').Split('\n'));
            }
        }

        var entries = await AnchorsAsync();
        Assert.Equal(2, entries.Count);
        foreach (JsonElement entry in entries)
        {
            JsonElement anchor = entry.GetProperty("anchor");
            byte[] file = File.ReadAllBytes(Path.Combine(Data, "ledger", "anchors", anchor.GetProperty("file").GetString()!));
            Assert.Equal(LedgerFormat.HashText(SHA256.HashData(file)), anchor.GetProperty("sha256").GetString());
            Assert.Equal(("cosignature", "w1.example"), (anchor.GetProperty("kind").GetString(), anchor.GetProperty("witness").GetString()));
            Assert.Equal(CheckpointOf(file).Size, anchor.GetProperty("head").GetProperty("size").GetInt64());
            Assert.Equal(("uid", LocalUser.Own.ToString()), (entry.GetProperty("actor").GetProperty("kind").GetString(), entry.GetProperty("actor").GetProperty("id").GetString()));
        }

        var (exit, report, _) = await CommandLineTests.RunAsync("verify", Data, "--policy", policy, "--cosign", Dir, "--json", "--allow-notes");
        Assert.Equal(0, exit);
        using var verified = JsonDocument.Parse(report);
        Assert.StartsWith("evident.local/", verified.RootElement.GetProperty("cosigned").GetString(), StringComparison.Ordinal);
        using var status = JsonDocument.Parse(await DoneAsync("witness", "status", "--dir", Dir, "--json"));
        JsonElement log = Assert.Single(status.RootElement.GetProperty("logs").EnumerateArray());
        Assert.Equal((vkey, verified.RootElement.GetProperty("entries").GetInt64(), 0), (status.RootElement.GetProperty("verifier_key").GetString(), log.GetProperty("size").GetInt64(), log.GetProperty("refused").GetInt32()));
        Assert.Contains("cosigned size", await DoneAsync("witness", "status", "--dir", Dir), StringComparison.Ordinal);
    }

    /// <summary>A file that a crash left without its entry gets the entry when the note is filed again; a cosignature that came first is never replaced.</summary>
    [Fact]
    public async Task Filing_goes_on_after_a_crash_and_never_replaces_what_came_first()
    {
        await using (await StartAsync())
        {
        }

        await DoneAsync("witness", "init", "--dir", Dir, "--name", "w1.example", "--log", await IdentityAsync());
        string note = Write("n", await DoneAsync("ledger", "head", "--data", Data)), cosigned = Write("c", await DoneAsync("witness", "cosign", note, "--dir", Dir));
        Assert.True(SignedNote.TryParse(File.ReadAllBytes(cosigned), out var signed, out _));
        var anchor = Assert.Single(AnchorNotes.Split(signed, Parse(File.ReadAllBytes(note))));
        Directory.CreateDirectory(Path.Combine(Data, "ledger", "anchors"));
        string file = Path.Combine(Data, "ledger", "anchors", anchor.File);
        File.WriteAllBytes(file, anchor.Bytes);
        Assert.StartsWith("filed: ", await DoneAsync("ledger", "anchor", cosigned, "--data", Data), StringComparison.Ordinal);
        Assert.Single(await AnchorsAsync());
        Assert.StartsWith("filed before: ", await DoneAsync("ledger", "anchor", cosigned, "--data", Data), StringComparison.Ordinal);
        Assert.Single(await AnchorsAsync());

        byte[] forged = [.. signed.Signatures[^1].KeyIdAndSignature];
        forged[30] ^= 1;
        byte[] bad = SignedNote.Encode(signed.Text, [.. signed.Signatures.SkipLast(1), new NoteSignature("w1.example", forged)]);
        var (code, _, stderr) = await CommandLineTests.RunAsync("ledger", "anchor", Write("bad", bad), "--data", Data);
        Assert.Equal(1, code);
        Assert.Contains("is kept", stderr, StringComparison.Ordinal);
        Assert.Equal(anchor.Bytes, File.ReadAllBytes(file));
    }

    [Fact]
    public async Task Heads_and_proofs_are_printed_in_every_form()
    {
        await using (Appliance appliance = await StartAsync())
        {
            await SendAsync(appliance);
        }

        byte[] note = Encoding.UTF8.GetBytes(await DoneAsync("ledger", "head", "--data", Data));
        Checkpoint head = CheckpointOf(note);
        string text = await DoneAsync("ledger", "head", "--text", "--data", Data);
        Assert.Equal(HeadText.Encode(head), text);
        Assert.Equal(0, (await CommandLineTests.RunAsync("verify", Data, "--known-head", Write("typed", text), "--allow-notes")).ExitCode);
        var (code, _, stderr) = await CommandLineTests.RunAsync("verify", Data, "--known-head", Write("typed", text.Replace("check ", "check 0", StringComparison.Ordinal)));
        Assert.Equal(64, code);
        Assert.Contains("mistyped", stderr, StringComparison.Ordinal);
        Assert.Equal(QrCode.ToText(note, colours: false), await DoneAsync("ledger", "head", "--qr", "--data", Data));
        using var json = JsonDocument.Parse(await DoneAsync("ledger", "head", "--json", "--data", Data));
        Assert.Equal(head.Size, json.RootElement.GetProperty("size").GetInt64());
        Assert.Equal(Encoding.UTF8.GetString(note), json.RootElement.GetProperty("checkpoint").GetString());
        Assert.Equal(1, (await CommandLineTests.RunAsync("ledger", "head", "--since", $"{head.Size + 1}", "--data", Data)).ExitCode);

        string[] raw = (await DoneAsync("ledger", "cat", "--raw", "--data", Data)).TrimEnd('\n').Split('\n');
        string[] shown = (await DoneAsync("ledger", "cat", "--data", Data)).TrimEnd('\n').Split('\n');
        NoteKey identity = NoteKey.ParseVerifierKey(await IdentityAsync())!;
        Assert.Equal(head.Size, raw.Length);
        foreach (int seq in (int[])[0, 1, raw.Length - 1])
        {
            byte[] leaf = Merkle.Leaf(Encoding.UTF8.GetBytes(raw[seq]));
            using var entry = JsonDocument.Parse(shown[seq]);
            Assert.Equal(LedgerFormat.HashText(leaf), entry.RootElement.GetProperty("integrity").GetProperty("this_hash").GetString());
            Assert.True(TlogProof.TryParse(Encoding.UTF8.GetBytes(await DoneAsync("ledger", "prove", $"{seq}", "--data", Data)), out var proof, out string failure), failure);
            Assert.True(proof.Proves(leaf, identity));
            Assert.Equal(LedgerReader.PublishedAbove(Path.Combine(Data, "ledger"), seq), CheckpointOf(proof.Note.Encode()).Size);
            Assert.True(TlogProof.TryParse(Encoding.UTF8.GetBytes(await DoneAsync("ledger", "prove", $"{seq}", "--size", $"{head.Size}", "--data", Data)), out proof, out _));
            Assert.True(proof.Proves(leaf, identity));
            Assert.Equal(head.Size, CheckpointOf(proof.Note.Encode()).Size);
        }

        (code, _, stderr) = await CommandLineTests.RunAsync("ledger", "prove", "0", "--size", $"{head.Size + 1}", "--data", Data);
        Assert.Equal(1, code);
        Assert.Contains("no published checkpoint of size", stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_witness_refuses_with_one_sentence_and_its_code()
    {
        await using (await StartAsync())
        {
        }

        string note = Write("n", await DoneAsync("ledger", "head", "--data", Data));
        await RefusedAsync("is no witness's directory", "witness", "cosign", note, "--dir", Dir);
        await RefusedAsync("is no witness's directory", "witness", "status", "--dir", Dir);
        await RefusedAsync("--name", "witness", "init", "--dir", Dir);
        Assert.False(Directory.Exists(Dir));
        await DoneAsync("witness", "init", "--dir", Dir, "--name", "w1.example");
        await RefusedAsync("one witness with one key", "witness", "init", "--dir", Dir, "--name", "w2.example");
        await RefusedAsync("(404)", "witness", "cosign", note, "--dir", Dir);
        await RefusedAsync("(400)", "witness", "cosign", Write("x", "nonsense\n"), "--dir", Dir);
        await RefusedAsync("is longer than", "witness", "cosign", Write("long", new byte[AddCheckpoint.MaxBytes + 1]), "--dir", Dir);
        await RefusedAsync("cannot be read", "witness", "cosign", Path.Combine(temporary.Path, "none"), "--dir", Dir);
        await DoneAsync("witness", "init", "--dir", Dir, "--log", await IdentityAsync());
        await DoneAsync("witness", "cosign", note, "--dir", Dir);
        await RefusedAsync("(409)", "witness", "cosign", Write("stale", "old 0\n\n" + File.ReadAllText(note)), "--dir", Dir);
    }

    private static async Task<string> DoneAsync(params string[] arguments)
    {
        var (exitCode, stdout, stderr) = await CommandLineTests.RunAsync(arguments);
        Assert.True(exitCode == 0, $"{string.Join(' ', arguments)}: {exitCode} {stderr}");
        return stdout;
    }

    private static async Task RefusedAsync(string why, params string[] arguments)
    {
        var (exitCode, stdout, stderr) = await CommandLineTests.RunAsync(arguments);
        Assert.Equal((1, ""), (exitCode, stdout));
        Assert.StartsWith("evident: ", stderr, StringComparison.Ordinal);
        Assert.Contains(why, stderr, StringComparison.Ordinal);
    }

    private async Task<string> IdentityAsync()
    {
        using var report = JsonDocument.Parse((await CommandLineTests.RunAsync("verify", Data, "--json")).Stdout);
        return report.RootElement.GetProperty("identity_key").GetString()!;
    }

    private async Task<List<JsonElement>> AnchorsAsync()
    {
        var found = new List<JsonElement>();
        foreach (string line in (await DoneAsync("ledger", "cat", "--data", Data)).TrimEnd('\n').Split('\n'))
        {
            JsonElement entry = JsonDocument.Parse(line).RootElement;
            if (entry.GetProperty("type").GetString() == "ledger.anchor")
            {
                found.Add(entry);
            }
        }

        return found;
    }

    private string Write(string name, string content) => Write(name, Encoding.UTF8.GetBytes(content));

    private string Write(string name, byte[] content)
    {
        string path = Path.Combine(temporary.Path, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    private static async Task SendAsync(Appliance appliance)
    {
        var sender = new DemoSender(appliance.Url);
        await sender.SendAsync(ApprovalRuns.RefundApproved(DateTimeOffset.UtcNow.AddMinutes(-5), "ticket-" + Guid.NewGuid().ToString("N")[..6]), CancellationToken.None);
    }

    private async Task<Appliance> StartAsync()
    {
        var options = new ApplianceOptions();
        options.Listen = ["http://127.0.0.1:0"];
        return await Appliance.StartAsync(options, Data, CancellationToken.None);
    }
}
