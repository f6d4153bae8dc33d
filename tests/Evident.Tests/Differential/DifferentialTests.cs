using System.Globalization;
using System.Text;
using Evident.Ledger;

namespace Evident.Tests.Differential;

/// <summary>
/// T40: two verifiers that share nothing but docs/ledger-format.md and docs/evidence.md give the same exit code for mutated and forged ledgers and bundles. EVIDENT_DIFFERENTIAL sets the
/// number of cases of each (600; tests/run.sh asks for 10,000), EVIDENT_DIFFERENTIAL_SEED another seed, EVIDENT_DIFFERENTIAL_SHOW how many of the disagreements are told.
/// Each case has random numbers of its own: its number and the seed make it again.
/// </summary>
public class DifferentialTests
{
    private static readonly int Cases = Setting("EVIDENT_DIFFERENTIAL", 600);
    private static readonly int Seed = Setting("EVIDENT_DIFFERENTIAL_SEED", 20261121);

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : otherwise;

    private sealed record Step(string Name, Action<LedgerCase> Apply);

    [Fact]
    public void A_ledger_that_is_taken_apart_and_put_together_again_is_the_same()
    {
        foreach (var source in BaseLedgers.Make())
        {
            var again = source.Case.Copy();
            new ForgedLedger(source.Case).Emit(again, republish: false);
            Assert.Equal(source.Case.Files.Keys, again.Files.Keys);
            Assert.All(source.Case.Files, f => Assert.Equal(Encoding.Latin1.GetString(f.Value!), Encoding.Latin1.GetString(again.Files[f.Key]!)));
        }
    }

    [Fact]
    public void Both_verifiers_give_the_same_exit_code_for_the_ledgers_as_they_were_written()
    {
        string directory = Scratch();
        using var python = new PythonVerifier();
        foreach (var source in BaseLedgers.Make())
        {
            var newest = new Step("newest head", c => c.Heads.Add(source.Case.Files["ledger/head.a"]!));
            foreach (List<Step> steps in (List<Step>[])[[], [newest], [new Step("no segment", c => c.Files.Remove(c.Segments()[0])), newest]])
            {
                var (ours, theirs) = Compare(source, steps, directory, python);
                Assert.True(ours.Code == theirs.Code || (ours.Code < 30 && theirs.Code < 30), $"{source.Name}: C# {ours.Code} {ours.Findings}, Python {theirs.Code} {theirs.Findings}");
            }
        }

        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public void Both_verifiers_give_the_same_exit_code_for_mutated_ledgers() =>
        Agree(BaseLedgers.Make(), Steps, [0, 10, 11, 12, 30, 31, 32, 33, 34, 40, 64]);

    [Fact]
    public void Both_verifiers_give_the_same_exit_code_for_bundles_as_they_were_written()
    {
        string directory = Scratch();
        using var python = new PythonVerifier();
        foreach (var source in BundleMutations.Make())
        {
            var newest = new Step("newest head", c => c.Heads.Add(source.Case.Files["checkpoint"]!));
            var packed = new Step("packed", c => BundleMutations.PackPlainly(c, null));
            foreach (List<Step> steps in (List<Step>[])[[], [newest], [packed, newest]])
            {
                var (ours, theirs) = Compare(source, steps, directory, python);
                Assert.True(ours.Code == theirs.Code && ours.Code < 30, $"{source.Name}: C# {ours.Code} {ours.Findings}, Python {theirs.Code} {theirs.Findings}");
            }
        }

        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public void Both_verifiers_give_the_same_exit_code_for_mutated_bundles() =>
        Agree(BundleMutations.Make(), BundleSteps, [0, 10, 12, 30, 31, 32, 33, 34, 40]);

    /// <param name="due">Exit codes that must each end some of the cases.</param>
    private static void Agree(List<BaseLedgers.Base> bases, Func<BaseLedgers.Base, List<BaseLedgers.Base>, Random, List<Step>> mutate, int[] due)
    {
        string directory = Scratch();
        var codes = new SortedDictionary<int, int>();
        var wrong = new List<(int Number, List<Step> Steps, BaseLedgers.Base Source)>();
        using var python = new PythonVerifier();
        for (int i = 0; i < Cases; i++)
        {
            var random = new Random(unchecked((Seed * 1_000_003) + i));
            var source = bases[random.Next(bases.Count)];
            var steps = mutate(source, bases, random);
            var (ours, theirs) = Compare(source, steps, directory, python);
            codes[theirs.Code] = codes.GetValueOrDefault(theirs.Code) + 1;
            if (ours.Code != theirs.Code)
            {
                wrong.Add((i, Smallest(source, steps, directory, python), source));
            }
        }

        var report = new StringBuilder();
        foreach (var (number, steps, source) in wrong.OrderBy(static w => w.Steps.Count).ThenBy(static w => w.Source.Case.Bytes).Take(Setting("EVIDENT_DIFFERENTIAL_SHOW", 5)))
        {
            var (ours, theirs) = Compare(source, steps, directory, python);
            string kept = Keep(source, steps, number);
            report.Append(CultureInfo.InvariantCulture, $"\ncase {number} of seed {Seed}, \"{source.Name}\": {string.Join(" + ", steps.Select(static s => s.Name))}\n  C# {ours.Code}: {ours.Findings}\n  Python {theirs.Code}: {theirs.Findings}\n  kept in {kept}");
        }

        Directory.Delete(directory, recursive: true);
        Assert.True(wrong.Count == 0, $"{wrong.Count} of {Cases} cases disagree.{report}");
        foreach (int code in due)
        {
            Assert.True(codes.GetValueOrDefault(code) >= Cases / 400, $"only {codes.GetValueOrDefault(code)} of {Cases} cases end with {code}: the mutations miss something.");
        }
    }

    private static string Scratch() =>
        Path.Combine(Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath(), "evident-differential-" + Guid.NewGuid().ToString("N"));

    /// <summary>One to three mutations with random numbers of their own, so that leaving one out does not change the others.</summary>
    private static List<Step> Steps(BaseLedgers.Base source, List<BaseLedgers.Base> bases, Random random)
    {
        var steps = new List<Step>();
        int mutations = random.Next(10) switch { 0 => 0, < 7 => 1, < 9 => 2, _ => 3 };
        bool forged = random.Next(3) == 0;
        if (forged && mutations > 0)
        {
            int seed = random.Next(), number = Math.Min(mutations, 2);
            bool republish = random.Next(3) > 0;
            var names = new List<string>();
            var some = new List<(Action<ForgedLedger, Random> Apply, int Seed)>();
            for (int i = 0; i < number; i++)
            {
                var (name, _, apply) = Weighted(Forgeries.All, static f => f.Weight, random);
                names.Add(name);
                some.Add((apply, random.Next()));
            }

            steps.Add(new Step($"forged: {string.Join(", ", names)}{(republish ? ", republished" : "")}", c =>
            {
                var ledger = new ForgedLedger(c);
                foreach (var (apply, own) in some)
                {
                    if (ledger.Groups.Count > 0)
                    {
                        apply(ledger, new Random(own));
                    }
                }

                ledger.Emit(c, republish);
            }));
            mutations -= number;
        }

        for (; mutations > 0; mutations--)
        {
            var (name, _, apply) = Weighted(ByteMutations.All, static f => f.Weight, random);
            int seed = random.Next();
            steps.Add(new Step(name, c => apply(c, new Random(seed))));
        }

        int heads = random.Next();
        steps.Add(new Step("heads", c => SuppliedHeads.Supply(c, source, bases, new Random(heads))));
        return steps;
    }

    /// <summary>Mutations of the ledger inside and of what stands around it; often sealed again with the identity key, so that not the manifest shows them; sometimes packed.</summary>
    private static List<Step> BundleSteps(BaseLedgers.Base source, List<BaseLedgers.Base> bases, Random random)
    {
        var steps = new List<Step>();
        bool seal = random.Next(2) == 0;
        for (int mutations = random.Next(8) switch { 0 => 0, < 6 => 1, _ => 2 }; mutations > 0; mutations--)
        {
            var (name, _, apply) = Weighted(random.Next(seal ? 2 : 5) == 0 ? ByteMutations.All : BundleMutations.All, static f => f.Weight, random);
            int seed = random.Next();
            steps.Add(new Step(name, c => apply(c, new Random(seed))));
        }

        if (seal)
        {
            steps.Add(new Step("sealed again", BundleMutations.Seal));
            if (random.Next(4) == 0)
            {
                var (name, _, apply) = BundleMutations.All.First(static m => m.Name == "change the manifest");
                int seed = random.Next();
                steps.Add(new Step(name + ", signed", c =>
                {
                    apply(c, new Random(seed));
                    BundleMutations.SignManifest(c);
                }));
            }
        }

        if (random.Next(6) == 0)
        {
            int pack = random.Next();
            steps.Add(new Step("packed", c => BundleMutations.Pack(c, new Random(pack))));
        }

        int heads = random.Next();
        steps.Add(new Step("heads", c => SuppliedHeads.Supply(c, source, bases, new Random(heads))));
        return steps;
    }

    private static T Weighted<T>(T[] all, Func<T, int> weight, Random random)
    {
        int at = random.Next(all.Sum(weight));
        foreach (var one in all)
        {
            at -= weight(one);
            if (at < 0)
            {
                return one;
            }
        }

        throw new InvalidOperationException("No weight.");
    }

    private static LedgerCase Make(BaseLedgers.Base source, List<Step> steps)
    {
        var made = source.Case.Copy();
        foreach (var step in steps)
        {
            step.Apply(made);
        }

        return made;
    }

    private static ((int Code, string Findings) Ours, (int Code, string Findings) Theirs) Compare(BaseLedgers.Base source, List<Step> steps, string directory, PythonVerifier python)
    {
        var made = Make(source, steps);
        var arguments = made.WriteTo(directory);
        python.Ask(arguments);
        string[] heads = [.. Enumerable.Range(0, made.Heads.Count).Select(i => Path.Combine(directory, $"known{i}.note"))];
        var report = LedgerVerifier.Verify(new VerifyRequest { Path = arguments[0], KnownHeads = heads, MaxUnanchored = made.MaxUnanchored });
        return ((report.ExitCode, $"{report.Summary} {string.Join(" | ", report.Findings)}"), python.Answer());
    }

    /// <summary>Fewer mutations that still disagree.</summary>
    private static List<Step> Smallest(BaseLedgers.Base source, List<Step> steps, string directory, PythonVerifier python)
    {
        for (int i = 0; i < steps.Count; i++)
        {
            List<Step> fewer = [.. steps[..i], .. steps[(i + 1)..]];
            var (ours, theirs) = Compare(source, fewer, directory, python);
            if (ours.Code != theirs.Code)
            {
                return Smallest(source, fewer, directory, python);
            }
        }

        return steps;
    }

    private static string Keep(BaseLedgers.Base source, List<Step> steps, int number)
    {
        string kept = Path.Combine(Path.GetTempPath(), $"evident-disagreement-{Seed}-{number}");
        Make(source, steps).WriteTo(kept);
        return kept;
    }
}
