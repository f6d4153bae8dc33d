using System.CommandLine;
using System.Text;
using Evident.Platform;
using Evident.Vault;
using Microsoft.Win32.SafeHandles;

namespace Evident.Commands;

/// <summary>
/// A passphrase: from a private file, from a descriptor, or typed without echo. Never from an argument or an environment variable, which other processes can read.
/// </summary>
internal sealed class PassphraseInput
{
    private const int MostRead = Passphrases.MaxBytes + 3; // with its line end, and one byte that is too much

    private readonly string prompt;
    private readonly Option<string?> file;
    private readonly Option<int?> descriptor;

    /// <param name="which">Which of two it is, such as <c>new</c>: part of the options' names.</param>
    public PassphraseInput(Command command, string which = "")
    {
        string name = which.Length > 0 ? $"--{which}-passphrase" : "--passphrase", what = which.Length > 0 ? $"{which} passphrase" : "passphrase";
        prompt = char.ToUpperInvariant(what[0]) + what[1..] + ": ";
        file = new(name + "-file") { Description = $"A file with the {what} in its only line; nobody but its owner may read it (0600).", HelpName = "FILE" };
        descriptor = new(name + "-fd") { Description = $"An open file descriptor with the {what}, 0 for standard input.", HelpName = "N" };
        descriptor.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 0 or 1 or 2)
            {
                result.AddError($"{name}-fd takes the number of a descriptor that can be read: 0, or 3 and above.");
            }
        });
        command.Validators.Add(result =>
        {
            if (result.GetResult(file) is { Implicit: false } && result.GetResult(descriptor) is { Implicit: false })
            {
                result.AddError($"one of {name}-file and {name}-fd is enough.");
            }
        });
        command.Options.Add(file);
        command.Options.Add(descriptor);
    }

    /// <summary>From the file or descriptor that the command line names; null when it names none.</summary>
    /// <exception cref="RefusedException">It cannot be read, others can read it too, or it is no passphrase.</exception>
    public SecretBytes? Given(ParseResult parsed) =>
        parsed.GetValue(file) is { } path ? FromFile(path)
        : parsed.GetValue(descriptor) is { } number ? FromDescriptor(number)
        : null;

    /// <summary>The same, or else typed on the terminal.</summary>
    /// <param name="isNew">It is asked for twice.</param>
    /// <exception cref="RefusedException">There is no terminal, or the two differ.</exception>
    public SecretBytes Read(ParseResult parsed, bool isNew)
    {
        if (Given(parsed) is { } given)
        {
            return given;
        }

        if (Console.IsInputRedirected)
        {
            throw new RefusedException($"There is no terminal to type the passphrase on: name a file with {file.Name} or a descriptor with {descriptor.Name}.");
        }

        SecretBytes typed = Typed(prompt);
        if (!isNew)
        {
            return typed;
        }

        using SecretBytes again = Typed("The same again: ");
        if (Sodium.Equal(typed.Span, again.Span))
        {
            return typed;
        }

        typed.Dispose();
        throw new RefusedException("The two passphrases differ; nothing was changed.");
    }

    private static SecretBytes FromFile(string path)
    {
        var info = new FileInfo(path);
        if (info.Exists && !KeysCommand.IsPrivate(info))
        {
            throw new RefusedException($"'{path}' may be read by others (mode {KeysCommand.Mode(info)}); set mode 0600.");
        }

        return Secret(InputFile.Read(path, MostRead), $"'{path}'");
    }

    private static SecretBytes FromDescriptor(int number)
    {
        byte[] content = new byte[MostRead];
        try
        {
            using var stream = new FileStream(new SafeFileHandle(number, ownsHandle: false), FileAccess.Read, bufferSize: 0);
            int length = stream.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            return Secret(content.AsSpan(0, length), $"descriptor {number}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new RefusedException($"The passphrase cannot be read from descriptor {number}: {e.Message}");
        }
        finally
        {
            Sodium.Zero(content);
        }
    }

    private static SecretBytes Secret(Span<byte> content, string from)
    {
        int length = Passphrases.WithoutLineEnd(content).Length;
        if (length is 0 or > Passphrases.MaxBytes)
        {
            Sodium.Zero(content);
            throw new RefusedException($"{from} holds no passphrase: 1 to {Passphrases.MaxBytes} bytes are one.");
        }

        SecretBytes secret = SecretBytes.CopyAndZero(content[..length]);
        Sodium.Zero(content);
        return secret;
    }

    private static SecretBytes Typed(string prompt)
    {
        Console.Error.Write(prompt);
        char[] typed = new char[Passphrases.MaxBytes];
        int length = 0;
        for (ConsoleKeyInfo key = Console.ReadKey(intercept: true); key.Key != ConsoleKey.Enter; key = Console.ReadKey(intercept: true))
        {
            if (key.Key == ConsoleKey.Backspace)
            {
                length = Math.Max(0, length - 1);
            }
            else if (!char.IsControl(key.KeyChar) && length < typed.Length)
            {
                typed[length++] = key.KeyChar;
            }
        }

        Console.Error.WriteLine();
        byte[] utf8 = Encoding.UTF8.GetBytes(typed, 0, length);
        Array.Clear(typed);
        return Secret(utf8, "What was typed");
    }
}
