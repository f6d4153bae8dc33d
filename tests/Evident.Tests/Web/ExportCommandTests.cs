using System.Text.Json;
using Evident.Configuration;
using Evident.Control;
using Evident.Demo;
using Evident.Ledger;
using Evident.Store;

namespace Evident.Tests.Web;

/// <summary><c>evident ledger export</c> beside a running appliance and without one, and what the owner signs.</summary>
public sealed class ExportCommandTests : IDisposable
{
    private readonly TemporaryDirectory temporary = new();

    private string Data => Path.Combine(temporary.Path, "d");

    public void Dispose() => temporary.Dispose();

    [Fact]
    public async Task A_bundle_is_written_while_the_appliance_takes_runs_and_is_one_of_its_entries()
    {
        string bundle = Path.Combine(temporary.Path, "b.tar"), plain = Path.Combine(temporary.Path, "b");
        string early;
        await using (Appliance appliance = await StartAsync())
        {
            var sender = new DemoSender(appliance.Url);
            await sender.SendAsync(ApprovalRuns.RefundApproved(DateTimeOffset.UtcNow.AddMinutes(-5), "ticket-9421"), CancellationToken.None);
            await Asking.TryAskServerAsync(Data, new Operation(Operation.LedgerPublish), CancellationToken.None);
            early = Path.Combine(temporary.Path, "early.note");
            (_, string head, _) = await CommandLineTests.RunAsync("ledger", "head", "--data", Data);
            await File.WriteAllTextAsync(early, head);

            using var stop = new CancellationTokenSource();
            Task sending = SendAsync(sender, stop.Token);
            (int code, string stdout, string stderr) = await CommandLineTests.RunAsync("ledger", "export", "--out", bundle, "--data", Data);
            Assert.Equal((0, ""), (code, stderr));
            Assert.StartsWith($"Wrote {bundle}: entries 0 to ", stdout, StringComparison.Ordinal);
            (code, _, stderr) = await CommandLineTests.RunAsync("ledger", "export", "--out", plain, "--data", Data);
            Assert.Equal((0, ""), (code, stderr));
            await stop.CancelAsync();
            await sending;
            (code, _, stderr) = await CommandLineTests.RunAsync("ledger", "export", "--out", plain, "--data", Data);
            Assert.Equal(1, code);
            Assert.Contains("is there already", stderr, StringComparison.Ordinal);
        }

        foreach (string path in (string[])[bundle, plain])
        {
            VerifyReport report = LedgerVerifier.Verify(new VerifyRequest { Path = path, KnownHeads = [early] });
            Assert.True(report.ExitCode == 0, report.ToText());
            JsonElement made = await MadeAsync(report.Bundle!.ExportId);
            Assert.Equal("uid", made.GetProperty("actor").GetProperty("kind").GetString());
            JsonElement export = made.GetProperty("export");
            Assert.Equal((0, report.Entries, report.Entries), (export.GetProperty("from").GetInt64(), export.GetProperty("to").GetInt64(), export.GetProperty("head").GetProperty("size").GetInt64()));
            Assert.Equal(report.Root, export.GetProperty("head").GetProperty("root").GetString());
        }

        byte[] manifest = await File.ReadAllBytesAsync(Path.Combine(plain, "MANIFEST.json"));
        using JsonDocument parsed = JsonDocument.Parse(manifest);
        Assert.Equal(
            LedgerFormat.HashText(System.Security.Cryptography.SHA256.HashData(manifest)),
            (await MadeAsync(parsed.RootElement.GetProperty("export_id").GetString()!)).GetProperty("export").GetProperty("manifest_sha256").GetString());
    }

    /// <summary>The pages and the second verifier are part of every bundle that this build writes.</summary>
    [Fact]
    public async Task A_bundle_carries_the_pages_and_the_second_verifier()
    {
        await (await StartAsync()).DisposeAsync();
        string bundle = Path.Combine(temporary.Path, "b");
        (int code, _, string stderr) = await CommandLineTests.RunAsync("ledger", "export", "--out", bundle, "--data", Data); // no appliance: in this process
        Assert.Equal((0, ""), (code, stderr));
        Assert.StartsWith("# Ledger format", await File.ReadAllTextAsync(Path.Combine(bundle, "docs/ledger-format.md")), StringComparison.Ordinal);
        Assert.StartsWith("# Evidence formats", await File.ReadAllTextAsync(Path.Combine(bundle, "docs/evidence.md")), StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(bundle, "verify.py")), "the bundle lacks verify.py: tests/verifier/evident_verify.py was not there when this was built");
        Assert.StartsWith("#!/usr/bin/env python3", await File.ReadAllTextAsync(Path.Combine(bundle, "verify.py")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_part_says_how_it_was_widened_and_an_unknown_tenant_is_refused()
    {
        await using Appliance appliance = await StartAsync();
        var sender = new DemoSender(appliance.Url);
        foreach (DemoRun run in DemoCatalogue.Everything(DateTimeOffset.UtcNow).Take(4))
        {
            await sender.SendAsync(run, CancellationToken.None);
        }

        string bundle = Path.Combine(temporary.Path, "part");
        (long first, long end) = await GroupOfSeveralAsync();
        (int code, string stdout, string stderr) = await CommandLineTests.RunAsync(
            "ledger", "export", "--out", bundle, "--data", Data, "--from", $"{first + 1}", "--to", $"{end - 1}");
        Assert.Equal((0, ""), (code, stderr));
        Assert.Contains($"--from {first + 1} was widened to {first}", stdout, StringComparison.Ordinal);
        Assert.Contains($"--to {end - 1} was widened to {end}", stdout, StringComparison.Ordinal);

        (code, _, stderr) = await CommandLineTests.RunAsync("ledger", "export", "--out", bundle + "2", "--data", Data, "--tenant", "nobody-of-that-name");
        Assert.Equal(1, code);
        Assert.StartsWith("evident: No bundle was written: no entry names the tenant", stderr, StringComparison.Ordinal);
        Assert.False(Path.Exists(bundle + "2"));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("{\"op\":\"ledger.export\",\"export\":{}}")]
    public async Task The_owner_signs_only_manifests_of_its_own_published_heads(string? line)
    {
        await using Appliance appliance = await StartAsync();
        string id = new('a', 32), hash = new('b', 64);
        long size = LedgerReaderSize();
        foreach (ExportClaim claim in (ExportClaim[])
        [
            new(id, 0, size, size + 1, hash, null), new(id, 0, size + 1, size, hash, null), new(id, size, size, size, hash, null), new(id, -1, size, size, hash, null),
            new(id[1..], 0, size, size, hash, null), new(id, 0, size, size, hash + "0", null), new(id, 0, size, size, "evident", null),
        ])
        {
            Operation asked = line is null ? new Operation(Operation.LedgerExport, Export: claim) : Operation.Parse(System.Text.Encoding.UTF8.GetBytes(line))!;
            Reply reply = (await Asking.TryAskServerAsync(Data, asked, CancellationToken.None))!;
            Assert.Equal(1, reply.ExitCode);
            Assert.Empty(reply.Payload);
            Assert.NotNull(reply.Error);
        }

        Reply signed = (await Asking.TryAskServerAsync(Data, new Operation(Operation.LedgerExport, Export: new ExportClaim(id, 0, size, size, hash, "acme")), CancellationToken.None))!;
        Assert.Equal(0, signed.ExitCode);
        Assert.True(SignedNote.TryParse(signed.Payload, out var note, out _));
        Assert.EndsWith($"\nsha256:{hash}\n", System.Text.Encoding.UTF8.GetString(note.Text), StringComparison.Ordinal);
        Assert.Equal("acme", (await MadeAsync(id)).GetProperty("tenant_id").GetString());
    }

    private long LedgerReaderSize() => long.Parse(LedgerReader.NewestPublished(Path.Combine(Data, "ledger"))!.Split('\n')[1], System.Globalization.CultureInfo.InvariantCulture);

    private async Task<(long First, long End)> GroupOfSeveralAsync()
    {
        await Asking.TryAskServerAsync(Data, new Operation(Operation.LedgerPublish), CancellationToken.None);
        long size = LedgerReaderSize();
        for (long next = 0; next < size;)
        {
            (long first, long end) = LedgerReader.GroupOf(Path.Combine(Data, "ledger"), next, size);
            if (end - first > 2)
            {
                return (first, end);
            }

            next = end;
        }

        throw new InvalidOperationException("the demo made no group of several entries");
    }

    private async Task<JsonElement> MadeAsync(string exportId)
    {
        (_, string stdout, _) = await CommandLineTests.RunAsync("ledger", "cat", "--data", Data);
        string line = stdout.Split('\n').Single(l => l.Contains("\"type\":\"export.made\"", StringComparison.Ordinal) && l.Contains(exportId, StringComparison.Ordinal));
        return JsonDocument.Parse(line).RootElement;
    }

    private static async Task SendAsync(DemoSender sender, CancellationToken stop)
    {
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            await sender.SendAsync(DemoCatalogue.Another(DateTimeOffset.UtcNow, i), CancellationToken.None);
        }
    }

    private async Task<Appliance> StartAsync()
    {
        var options = new ApplianceOptions { Listen = ["http://127.0.0.1:0"] };
        return await Appliance.StartAsync(options, Data, CancellationToken.None);
    }
}
