namespace Evident.Tests.Ingest;

/// <summary>Samples for the rules that are code, and ordinary text of the kind that agents send. Written for this project; every secret is made up.</summary>
internal static class RedactionSamples
{
    private static string Alnum(int count) => Planted.Make($"{{A{count}}}", count);

    private static (string Rule, string Text, string Secret) Is(string rule, string text, string secret) => (rule, text.Replace("{}", secret, StringComparison.Ordinal), secret);

    private static IEnumerable<(string, string, string)> Each(string rule, string[] secrets, params string[] texts)
    {
        int i = 0;
        foreach (string secret in secrets) yield return Is(rule, texts[i++ % texts.Length], secret);
    }

    internal static readonly (string Rule, string Text, string Secret)[] Positives =
    [
        .. Each("email",
            ["maria.lopez@example.com", "x@y.io", "o'brien+news@mail.example.co.uk", "first_last@sub.domain.example.org", "jörg@münchen.de", "a.b-c@example.travel", "USER@EXAMPLE.COM", "n0reply@1and1.example", "k%o@example.com", "info@例え.jp",
             "very.long.name.with.many.parts@example.net", "dev#ops@example.org"],
            "write to {} today", "{}", "<{}>", "{\"to\":\"{}\"}", "mailto:{}?subject=x", "cc={};", "From: {}\nTo: nobody"),
        Is("email", "GET /search?who=jane%40example.com HTTP/1.1", "jane%40example.com"), Is("email", @"""mail"": ""jane\u0040example.com"" (cut", @"jane\u0040example.com"),
        Is("email", "b64 amFuZS5kb2VAZXhhbXBsZS5jb20= here", "amFuZS5kb2VAZXhhbXBsZS5jb20"), Is("email", "https://x.example/a/amFuZS5kb2VAZXhhbXBsZS5jb20/b", "amFuZS5kb2VAZXhhbXBsZS5jb20"),
        .. Each("phone",
            ["+49 30 901820", "+15551234567", "+1 (555) 123-4567", "(555) 123-4567", "555-123-4567", "555.123.4567", "1-800-555-0199", "0171 2345678", "06 12 34 56 78", "020 7946 0958", "0049 30 901820", "00491701234567", "+44 20 7946 0958",
             "+33 1 23 45 67 89", "+81-3-1234-5678", "+86 138 0013 8000"],
            "call {} now", "{}", "tel: {}.", "{\"phone\":\"{}\"}", "my number is {}, evenings"),
        .. Each("card", ["4111 1111 1111 1111", "4111-1111-1111-1111", "5500005555555559", "378282246310005", "6011000990139424", "3530111333300000", "2223003122003222", "5105105105105100", "4012888888881881", "30569309025904"],
            "card {} exp 12/27", "{}", "pan={}", "{\"pan\":\"{}\"}"),
        Is("card", "{\"pan\":{}}", "4111111111111111"),
        .. Each("iban", ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "nl91abna0417164300", "FR1420041010050500013M02606", "CH9300762011623852957", "ES9121000418450200051332", "IT60X0542811101000000123456", "AT611904300234573201", "BE68539007547034", "PL61109010140000071219812874"],
            "to {} please", "{}", "iban={}!", "{\"iban\":\"{}\"}"),
        .. Each("private_key",
            ["-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----", "-----BEGIN " + "PRIVATE KEY-----\nMIIE cut", "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----",
             "-----BEGIN EC " + "PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----", "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----\nlQ\n-----END PGP PRIVATE KEY BLOCK-----", "-----BEGIN ENCRYPTED " + "PRIVATE KEY-----\nMIIF\n-----END ENCRYPTED PRIVATE KEY-----",
             "PuTTY-User-Key-" + "File-2: ssh-rsa\nPrivate-Lines: 2\nAAAA\nPrivate-MAC: 0123"],
            "{}", "key:\n{}\nend", "cat id_rsa\n{}"),
        Is("private_key", "{\"type\":\"service_account\",\"private_key\":\"{}\",\"client_id\":\"1\"}", @"-----BEGIN " + @"PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n"),
        .. Each("url_credentials", ["user:hunter22", "admin:p4ss", ":redispass1", "svc:a%20b%21", "ghost:pa-ss_w0rd", "token_" + Alnum(20)],
            "https://{}@host.example/x", "postgres://{}@db:5432/app", "redis://{}@cache:6379/0", "mongodb+srv://{}@cluster0.example.net/x", "amqp://{}@mq/", "clone https://{}@git.example/repo.git"),
        .. Each("named_secret",
            ["hunter22", "S3cr3t!val", "correct-horse", "pa55", "Tr0ub4dor", "letmein1", "opensesame", "qwerty123", "kX9#mP2$vL", "p@ssw0rd", "abc12345", "9f8e7d6c"],
            "password={}", "db.password: {}", "PGPASSWORD={}", "\"client_secret\": \"{}\"", "passwd='{}'", "mysql --pwd={} -u root", "Server=db;User Id=sa;Password={};Encrypt=true", "DefaultEndpointsProtocol=https;AccountKey={};x=y", "github_token: {}", "APP_SECRET={} node .",
            "spring.datasource.password={}", "password := \"{}\""),
        Is("named_secret", "{\"password\":\"{}\"}", "two words 1"), Is("named_secret", "{\"user\":{\"apiKey\":\"{}\",\"n\":1}}", "k-123"), Is("named_secret", "{\"a\":\"{\\\"db_password\\\":\\\"{}\\\"}\"}", "inner77"),
        Is("named_secret", "https://x.example/?access_token={}&y=1", "abcdef123456"), Is("named_secret", "https://acct.blob.core.example/c?sv=2024&sig={}", "aBcD1234eFgH5678"), Is("named_secret", "https://b.example/o?X-Amz-Signature={}&x=1", Planted.Make("{H64}")),
        Is("named_secret", "?token%3D{}", "zyx98765"), Is("named_secret", "aws_secret_access_key = {}", Alnum(40)), Is("named_secret", "AWS_SESSION_TOKEN={}", Alnum(60)), Is("named_secret", "X-Api-Key: {}", Alnum(24)), Is("named_secret", "headers[\"x-api-key\"] = \"{}\"", Alnum(24)),
        Is("named_secret", "signing_key={}", Alnum(32)), Is("named_secret", "my_service_key: {}", Alnum(32)), Is("named_secret", "cvv: {}", "123"), Is("named_secret", "otp={}", "482913"), Is("named_secret", "{\"pin\":{}}", "4821"), Is("named_secret", "refreshToken: '{}'", "rt-5512"),
        Is("named_secret", "SharedAccessKey={}", Alnum(43) + "="), Is("named_secret", "JSESSIONID={}", "A1B2C3D4E5F6"), Is("named_secret", "encoded eyJwYXNzd29yZCI6Imh1bnRlcjIyIn0= end", "eyJwYXNzd29yZCI6Imh1bnRlcjIyIn0"),
        .. Each("authorization_header", ["dXNlcjpwYXNzd29yZA==", Alnum(32), "username=\"u\", nonce=\"1\", response=\"9f\"", Alnum(40), "Credential=X/20260506/eu/s3/aws4_request, Signature=0123456789abcdef"],
            "authorization: Basic {}", "Authorization: Bearer {}", "Authorization: Digest {}", "-H \"Authorization: token {}\"", "authorization: AWS4-HMAC-SHA256 {}"),
        Is("authorization_header", "Proxy-Authorization: Basic {}", "dXNlcjpwYXNzd29yZA=="),
        .. Each("bearer_token", [Alnum(36), Alnum(20), "abc.def.123456", "t0ken-with-dashes-1", Planted.Make("{K64}"), "0123456789abcdef"], "Bearer {}", "sent bearer {} to it", "'Bearer {}'", "(Bearer {})"),
        .. Each("basic_credentials", ["dXNlcjpwYXNzd29yZDEyMw==", "YWRtaW46YWRtaW4xMjM0", "c3ZjOnNlY3JldC12YWx1ZQ==", "cm9vdDp0b29yLXRvb3I="], "Basic {}", "uses Basic {} here"),
        .. Each("cookie_header", ["sid=abc123; theme=dark", "session=9f8e7d; Path=/; HttpOnly", "a=1", "csrftoken=q1w2e3"], "Cookie: {}", "Set-Cookie: {}", "cookie: {}\nhost: x"),
        .. Each("aws_secret_key", ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "abCD1234efGH5678ijKL9012mnOP3456qrST7890", "Z9y8X7w6V5u4T3s2R1q0P9o8N7m6L5k4J3i2H1g0", "k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6a7B8c9D0"],
            "AKIA" + "IOSFODNN7EXAMPLE {}", "id AKIA" + "IOSFODNN7EXAMPLE and {} it is", "AKIA" + "IOSFODNN7EXAMPLE,{}"),
        .. Each("us_ssn", ["219-09-9999", "078-05-1120", "457 55 5462", "536-90-4399"], "ssn {} on file", "{}", "{\"ssn\":\"{}\"}"),
        .. Each("uk_nino", ["AB123456C", "JG 10 37 59 A", "CE123456C", "ab 12 34 56 d"], "NI number {}", "{}", "nino: {}."),
        .. Each("de_steuer_id", ["86095742719", "47036892816", "65929970489", "57549285017"], "Steuer-ID {}", "{}", "id={};"),
        .. Each("fr_nir", ["255081416802538", "2 55 08 14 168 025 38", "185057800608491", "1 85 05 78 006 084 91"], "NIR {}", "{}", "num {} fin"),
        .. Each("es_dni", ["12345678Z", "X1234567L", "00000000T", "Y1234567X"], "DNI {}", "{}", "doc={},"),
        .. Each("it_codice_fiscale", ["RSSMRA85T10A562S", "MRTMTT25D09F205Z", "rssmra85t10a562s", "MRTMTT91D08F205J"], "CF {}", "{}", "cf={};"),
        .. Each("nl_bsn", ["111222333", "123456782", "100000009", "1234.56.782"], "BSN {}", "{}", "bsn {} ok"),
        .. Each("pl_pesel", ["44051401359", "02070803628", "85041212344", "90090515836"], "PESEL {}", "{}", "nr {}."),
        .. Each("se_personnummer", ["811228-9874", "198112289874", "670919-9530", "19670919-9530"], "personnummer {}", "{}", "pnr {} ok"),
        .. Each("ch_ahv", ["756.9217.0769.85", "7569217076985", "756.1234.5678.97", "756 9217 0769 85"], "AHV {}", "{}", "nr {}!"),
        .. Each("in_aadhaar", ["2341 2341 2346", "499118665246", "3675 9834 6016", "2341-2341-2346"], "Aadhaar {}", "{}", "uid {} ok"),
        .. Each("in_pan", ["ABCPK1234F", "AAACR5055K", "BNZPM2501F", "AAAPL1234C"], "PAN {}", "{}", "pan {}."),
        .. Each("br_cpf", ["111.444.777-35", "11144477735", "529.982.247-25", "123.456.789-09"], "CPF {}", "{}", "cpf {} ok"),
    ];

    /// <summary>What agents, tools and their logs say all day. No rule that ships switched on may fire.</summary>
    internal static readonly string[] Negatives =
    [
        .. """
        2026-05-06T06:00:08.112Z
        2026-05-06 06:00:08
        06.05.2026 12:30
        1778047200000000000
        1778047200000
        4155551234
        0af7651916cd43dd8448eb211c80319c
        550e8400-e29b-41d4-a716-446655440000
        192.168.100.200
        10.0.0.1:4318
        fe80::1ff:fe23:4567:890a
        2001:db8::8a2e:370:7334
        1.2.3-beta.4
        v2.31.0+build.20260506
        INV-2026-0042
        ticket-9421
        run_01J3K6ZQ7Y5N8M2P4R6T8V0WXY
        support_triage_prompt@2026-05-01
        @arizeai/openinference-instrumentation-openai
        gmail.send:thread_18b4f5e2:msg_02
        sha256:3b4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b
        task-scheduler disk-usage risk-level
        sk-learn
        sk-estimator-with-many-hyphens
        https://api.example.com/v1/users?page=2
        https://example.com/a/b/c.html#section-4
        the bearer of this letter
        a bearer bond of the issuer
        authorization required
        the Authorization header is missing
        max_tokens=4096 password reset link sent
        4111 1111 1111 1112
        0.4111111111111111
        DE88370400440532013000
        AKIAlowercase
        a @ b
        temperature=0.7 top_p=0.95 seed=12345678
        1, 2, 3, 100 200 300
        -----BEGIN CERTIFICATE-----
        -----BEGIN PUBLIC KEY-----
        ssh-ed25519 AAAA host
        eyJ
        secretary: Maria, bearers: two, passwords: many
        gpt-4.1-2025-04-14
        claude-sonnet-4-20250514
        C:\users\new\table
        Basic plan2026ab
        basic authentication is off
        if password == null
        password_hash=$2b$12$
        the token of the day is kindness
        PIN board
        api key rotation policy v3
        the secret of success: practice
        session_id=0af7651916cd43dd8448eb211c80319c
        trace_id: 0af7651916cd43dd8448eb211c80319c
        etag="5d41402abc4b2a76b9719d911017c592"
        Location: /v1/orders/2026-0042
        x-ratelimit-remaining: 4999
        sort=-created_at&page=2&limit=50
        ?code=42&state=ok
        &key=products
        https://example.com/?q=hello%20world&sig=1
        https://example.com:8443/a@b
        https://example.com/@user/post
        npm ERR! code E404
        AC adapter 65W
        SK Telecom
        re_compile(r"^a+$")
        eyJhbGciOiJIUzI1NiJ9
        MTIzNDU2Nzg5MA
        0123456789abcdef0123456789abcdef01234567
        Tel Aviv 2026
        call me at 5 or 6
        +1 point for team 7
        1-2 days, 3-4 weeks
        2026-05-06/2026-05-09
        rev 1.2.840.113549.1.1.11
        7 8 9 10 11 12 13 14
        while token != last:
        the password must be at least twelve characters
        password: must be changed
        password: required
        Password reset for your account
        token: null
        "api_key": null
        secret: none
        "password": ""
        "token": "[token]"
        password=[secret]
        password: ********
        api_key=xxxxxxxx
        token_count=512
        input_tokens: 1234, output_tokens: 88
        completion_tokens=17 prompt_tokens=230
        eos_token: </s>
        pad_token=<pad>
        next_page_token=CAUQAA
        page_token: abc
        cache_key=user:42:profile
        idempotency_key=order-2026-0042
        primary_key: id
        partition_key=tenant
        sort_key: created_at
        public_key: missing
        foreign_key constraint fails
        keyboard: qwerty
        monkey=7
        turkey: 12 kg
        hotkey=ctrl+k
        the key is under the mat
        key: value
        tokens: 42
        tokenizer=cl100k_base
        authorize=true
        author: Jane
        sessions: 3
        signature: fn(x) -> y
        std::token::parse
        auth_token::Kind
        password = get_password()
        secret = config.secret
        token = self.token
        api_key=os.environ["KEY"]
        if token == expected:
        int token = 0;
        token: str
        password: string
        secret: bytes
        def login(user, password):
        return password
        SELECT id, name FROM users WHERE id = 42
        INSERT INTO t (a, b) VALUES (1, 2)
        UPDATE orders SET state = 'paid' WHERE id = 9421
        GET /healthz HTTP/1.1
        HTTP/1.1 200 OK
        Content-Type: application/json
        Content-Length: 1024
        User-Agent: agent/1.4 (linux; x64)
        Accept: text/html;q=0.9
        Host: api.example.com:8443
        ETag: W/"33a64df551425fcc55e4d42a148795d9f25f89d4"
        traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
        X-Request-Id: 7b1c6e0e-6d1c-4a53-9c53-8c8cfe9d3a11
        Exception in thread "main" java.lang.NullPointerException
            at com.example.agent.Runner.run(Runner.java:128)
        File "/usr/lib/python3.12/site-packages/httpx/_client.py", line 1027, in send
        System.InvalidOperationException: Sequence contains no elements
        at Evident.Store.BatchWriter.Write(List`1 requests) in /src/BatchWriter.cs:line 128
        panic: runtime error: index out of range [5] with length 3
        ERROR 1045 (28000): Access denied
        exit status 137
        SIGTERM received, draining 12 connections
        p50=12ms p95=88ms p99=340ms
        cpu=73% mem=1.2GiB disk=81%
        retry 3/5 in 800 ms
        took 1,234,567 ns
        total: 1 234 567,89 EUR
        $1,299.00
        -12.5 %
        42.3601, -71.0589
        lat=52.5200 lon=13.4050
        #ff8800
        0xdeadbeef
        0b1010
        3.14159265358979
        6.02214076e23
        1e-9
        ISBN 978-3-16-148410-0
        ISO 8601
        RFC 6749 section 4.1
        EN 50131-1
        ABC-1234
        PO 4500012345
        SKU 00-44-2190-A
        order 100200300
        customer 84512
        invoice 2026/05/0042
        build 20260506.3
        chapter 12, page 340
        room 2.104
        flight LH 441
        gate B22
        Friday 5 June 2026
        09:30-10:15
        Q3 2026
        week 23
        5 of 12
        12x faster
        24/7
        50/50
        1:1
        16:9
        a/b testing
        i18n and l10n
        The quick brown fox jumps over the lazy dog.
        Please summarise the attached document in three bullet points.
        I could not find an order with that number; could you check it again?
        The refund was approved by the support lead and will arrive in five days.
        Internationalization requires careful consideration of pluralization rules.
        Counterrevolutionaries misunderstood electroencephalographically.
        Donaudampfschifffahrtsgesellschaftskapitän
        supercalifragilisticexpialidocious
        rindfleischetikettierungsueberwachungsaufgabenuebertragungsgesetz
        get_weather(location="Berlin", unit="celsius")
        {"tool":"search","query":"weather in Berlin","top_k":5}
        {"role":"assistant","content":"Here is the summary."}
        {"id":"msg_01","type":"message","stop_reason":"end_turn"}
        {"usage":{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19}}
        {"a":[1,2,3],"b":{"c":null},"d":true}
        [1.5, 2.25, 1e3]
        <div class="card">Hello</div>
        <xml attr="value">text</xml>
        # Heading
        * bullet one
        1. first
        > quote
        | a | b |
        ```python
        print("hello")
        for i in range(10): pass
        const x = await fetch(url);
        let y = a ? b : c;
        public static void Main(string[] args)
        #include <stdio.h>
        fn main() { println!("hi"); }
        kubectl get pods -n default
        docker run --rm -p 8080:80 nginx:1.27
        git commit -m "Fix typo"
        commit 1f3a5c7e9b2d4f6081a3c5e7092b4d6f8a1c3e50
        npm install --save-dev typescript
        pip install numpy==2.1.0
        npm_config_cache=/tmp/cache
        hf_hub_download
        hf_transfer is enabled
        gho_st
        ghp_short
        xoxo, Gossip Girl
        glpat-
        re_match_all_groups
        sl.exe
        dp.state
        hvs.
        SG.short.x
        key-value-store
        key-press-event
        dapine
        r8_
        lin_alg_solve
        secret_santa_2026
        pat-a-cake-pat-a-cake
        api-gateway-eu-west-1
        sdk-java-2.0
        mob-programming-session
        access-control-allow-origin
        access-log-2026-05-06
        bot:AA-team
        123456789:AB
        s.trim().toLowerCase()
        t1.id = t2.id
        fc-portugal
        pul-over
        cio-board-meeting
        oy2mate
        shpat
        rzp_test
        sq0
        EAAA
        AAAAAAAAAAAAAAAAAAAA
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        ----------------------------------------
        ________________________________________
        ========================================
        0000000000000000000000
        1111111111111
        lorem_ipsum_dolor_sit_amet_consectetur
        this-is-a-very-long-kebab-case-identifier-for-a-page
        thisIsAVeryLongCamelCaseIdentifierForATestMethod
        THIS_IS_A_VERY_LONG_CONSTANT_NAME_IN_CAPITALS
        Microsoft.AspNetCore.Server.Kestrel.Core.Internal.Http
        org.springframework.boot.autoconfigure.jdbc
        arn:aws:s3:::my-bucket/path/to/object
        arn:aws:iam::123456789012:role/agent
        projects/my-project/locations/eu/endpoints/42
        /subscriptions/550e8400-e29b-41d4-a716-446655440000/resourceGroups/rg
        s3://bucket/prefix/2026/05/06/part-0001.parquet
        gs://bucket/object
        file:///var/log/agent.log
        postgres://db.internal:5432/app
        redis://cache:6379/0
        amqp://mq:5672/
        mongodb://localhost:27017
        ftp://ftp.example.com/pub
        urn:uuid:550e8400-e29b-41d4-a716-446655440000
        data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ
        SGVsbG8sIHdvcmxkISBIb3cgYXJlIHlvdT8=
        dGhlIHF1aWNrIGJyb3duIGZveA
        VGhpcyBpcyBqdXN0IGEgc2VudGVuY2Uu
        100%25 done
        a%20b%2Fc
        caf\u00e9
        line1\nline2\ttab
        C:\\Program Files\\Agent
        Grüße aus Köln
        日本語のテキスト
        Привет мир
        🙂 ok 👍
        user@localhost
        @channel please look
        foo@
        @decorator
        git@
        2@3
        ½ cup
        5'11"
        O'Neil
        100-200
        3-4-5
        12-34-56
        1-2-3-4
        2026-05
        05-06
        000-00-000
        00.00.00
        7.5.0.1
        127.0.0.1/8
        +1
        +49
        +12
        (12)
        (2026)
        extension 4711
        0815
        4242
        4711-0815
        12345-6789
        """.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0),
    ];
}
