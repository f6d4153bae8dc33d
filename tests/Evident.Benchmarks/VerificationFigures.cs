using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Benchmarks;

/// <summary>
/// Verification against its raw parts. The parts are taken on a sample of the same lines that fits the processor's cache, best of many
/// rounds; so is verification on one thread. The whole ledger is verified once, in a process of its own, with all cores.
/// </summary>
internal static class VerificationFigures
{
    public const string ChildCommand = "verify-directory";
    private const int SampleGroups = 2, Rounds = 400;

    public static void Print(long entries, int group, string? directory)
    {
        Measure.Title($"verification: {entries} tool calls, {group} a checkpoint, closed schema checked, {Environment.ProcessorCount} cores");
        PrintParts(group, directory);
        using var ledger = new SampleLedger(directory, (entries * SampleLedger.BytesPerEntry(group)) + (1L << 30));
        var (wall, _) = Measure.Once(() => ledger.Fill(entries, group));
        Measure.Line("written (drafts, encoding, hashing, signing, syncing)", wall / entries, "us/entry");
        RunWhole(ledger, entries);
    }

    private static void PrintParts(int group, string? directory)
    {
        using var ledger = new SampleLedger(directory, 1 << 28);
        ledger.Fill((long)SampleGroups * group, group);
        byte[] bytes = File.ReadAllBytes(ledger.Segments[0]);
        var lines = Lines(bytes);
        long hashed = lines.Sum(l => (long)l.Length);
        byte[] digest = new byte[32];
        var parser = new Lj1Parser();
        double count = lines.Count;

        double framework = Measure.BestMicros(Rounds, () =>
        {
            foreach (var line in lines)
            {
                SHA256.HashData(line.Span, digest);
            }
        }) / count;
        double direct = Measure.BestMicros(Rounds, () =>
        {
            foreach (var line in lines)
            {
                Sha256.Hash(line.Span, digest);
            }
        }) / count;
        double parse = Measure.BestMicros(Rounds, () =>
        {
            foreach (var line in lines)
            {
                if (parser.Parse(line.Span) != Lj1Error.None)
                {
                    throw new InvalidDataException("a line of the sample is not LJ-1.");
                }
            }
        }) / count;
        double check = Measure.BestMicros(Rounds, () =>
        {
            foreach (var line in lines)
            {
                _ = parser.Parse(line.Span);
                if (EntrySchema.Check(line.Span, parser) is { } failure)
                {
                    throw new InvalidDataException(failure);
                }
            }
        }) / count;
        double nodes = Measure.BestMicros(Rounds, () =>
        {
            var tree = new MerkleFrontier();
            for (int i = 0; i < lines.Count; i++)
            {
                tree.Append(digest);
            }
        }) / count;
        var segments = LedgerFiles.List(ledger.Directory).Segments;
        double verify = Measure.BestMicros(Rounds, () =>
        {
            var pass = new LedgerPass(ledger.Directory) { Ahead = 0 };
            pass.Run(segments);
            if (pass.Size != (long)count || pass.Findings.Any(f => f.Code != 0))
            {
                throw new InvalidDataException("the sample is not sound.");
            }
        }) / count;

        Measure.Line("bytes of an entry line", hashed / count, "bytes");
        Measure.Line("raw SHA-256 of each line, framework (EVP)", framework, "us/entry");
        Measure.Line("raw SHA-256 of each line, OpenSSL's block functions", direct, "us/entry");
        Measure.Line("raw parse (LJ-1)", parse, "us/entry");
        Measure.Line("parse and closed schema", check, "us/entry");
        Measure.Line("Merkle nodes", nodes, "us/entry");
        Measure.Line("verification on one thread", verify, "us/entry");
        Measure.Bar("entries/s on one core", 1e6 / verify, 300_000, atMost: false);
        Measure.Bar("speed against parse + framework SHA-256", (parse + framework) / verify, 0.5, atMost: false);
        Measure.Bar("speed against parse + OpenSSL's block functions", (parse + direct) / verify, 0.5, atMost: false);
    }

    private static List<ReadOnlyMemory<byte>> Lines(byte[] segment)
    {
        var lines = new List<ReadOnlyMemory<byte>>();
        for (int at = 0; at < segment.Length;)
        {
            int length = segment.AsSpan(at).IndexOf((byte)'\n');
            if (!CheckpointLine.LooksLikeOne(segment.AsSpan(at, length)))
            {
                lines.Add(segment.AsMemory(at, length));
            }

            at += length + 1;
        }

        return lines;
    }

    private static void RunWhole(SampleLedger ledger, long entries)
    {
        var before = Measure.Usage(own: false);
        long start = Stopwatch.GetTimestamp();
        string own = Environment.ProcessPath!, assembly = Environment.GetCommandLineArgs()[0];
        string[] arguments = Path.GetFileNameWithoutExtension(own) == "dotnet" ? [assembly, ChildCommand, ledger.Data] : [ChildCommand, ledger.Data];
        using var child = Process.Start(own, arguments);
        child.WaitForExit();
        double wall = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        var after = Measure.Usage(own: false);
        if (child.ExitCode != Verdict.Unanchored)
        {
            throw new InvalidDataException($"the verification ended with {child.ExitCode}.");
        }

        Measure.Line("whole ledger, a process of its own: wall", wall / 1e6, "s", string.Create(CultureInfo.InvariantCulture, $"{entries / (wall / 1e6):N0} entries/s"));
        Measure.Line("  processor time", (after.CpuMicros - before.CpuMicros) / entries, "us/entry");
        Measure.Bar("  peak memory, MiB", after.PeakBytes / (1024.0 * 1024), 300, atMost: true);
    }

    /// <summary>The child: verifies and ends with the verdict.</summary>
    public static int RunChild(string data) => LedgerVerifier.Verify(new VerifyRequest { Path = data }).ExitCode;
}
