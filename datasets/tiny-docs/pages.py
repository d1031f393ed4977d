"""What stands on the pages: all of it invented."""

from collections.abc import Callable
from dataclasses import dataclass

from drawing import (
    Holder,
    Sheet,
    Span,
    card_mrz,
    form,
    handwritten,
    labelled,
    mrz,
    passport_mrz,
    portrait,
    printed,
    receipt,
    rows,
    security_lines,
    specimen,
    tick_box,
)

QUESTIONS = {
    "surname": "What is the surname?",
    "given_names": "What are the given names?",
    "patronymic": "What is the patronymic?",
    "date_of_birth": "What is the date of birth?",
    "place_of_birth": "What is the place of birth?",
    "document_number": "What is the document number?",
    "date_of_issue": "What is the date of issue?",
    "date_of_signature": "When was the form signed?",
    "date_of_expiry": "What is the date of expiry?",
    "authority": "Which authority issued the document?",
    "categories": "Which categories of vehicles are allowed?",
    "faculty": "Which faculty does the holder study at?",
    "mrz_last_line": "What is the last line of the machine-readable zone?",
    "company": "What is the name of the shop?",
    "address": "What is the address of the shop?",
    "date": "What is the date of the receipt?",
    "tax": "What is the amount of tax?",
    "total": "What is the total amount?",
    "cash": "How much cash was handed over?",
    "name": "What is the full name of the person?",
    "street": "What is the street and house number?",
    "phone": "What is the telephone number?",
    "email": "What is the e-mail address?",
    "contents": "What are the contents of the parcel?",
    "weight": "What is the weight?",
    "value": "What is the declared value?",
}


@dataclass(frozen=True)
class Scan:
    """How a page went through the scanner; `angle` in degrees, counter-clockwise."""

    angle: float
    blur: float
    noise: float
    paper: str


@dataclass(frozen=True)
class Document:
    """One image of the dataset."""

    name: str
    doc_class: str
    size: tuple[int, int]
    scan: Scan
    draw: Callable[[Sheet], None]


def _utopian_passport(content: str, number: str, zone: tuple[str, ...]) -> Callable[[Sheet], None]:
    def draw(sheet: Sheet) -> None:
        security_lines(sheet, (206, 222, 214))
        title = Span(60, "UTOPIA", 34, "Serif-Bold", "blue")
        sheet.row(64, title, Span(330, "PASSPORT", 28, "Sans-Bold", "blue"), specimen(780))
        label = Span(330, "Passport No.", 20, ink="label")
        sheet.row(112, label, Span(500, number, 28, "SansMono", answers="document_number"))
        portrait(sheet, 60, 130)
        labelled(sheet, 330, 156, 76, content)
        mrz(sheet, 700, 30, zone)

    return draw


def _utopian_card(sheet: Sheet) -> None:
    security_lines(sheet, (226, 214, 206))
    title = Span(60, "UTOPIA", 34, "Serif-Bold", "blue")
    sheet.row(62, title, Span(330, "IDENTITY CARD", 28, "Sans-Bold", "blue"), specimen(780))
    portrait(sheet, 60, 100)
    content = """
        Surname       | ASHDOWN-REYES | surname
        Given names   | OTTILIE JUNE  | given_names
        Date of birth | 23 FEB 1995   | date_of_birth
        Card number   | X4L7702KD     | document_number
        Valid until   | 30 SEP 2033   | date_of_expiry"""
    labelled(sheet, 330, 116, 78, content)
    mrz(
        sheet,
        560,
        38,
        card_mrz(Holder("ASHDOWN<REYES", "OTTILIE<JUNE", "X4L7702KD", "950223", "F", "330930")),
    )


def _russian_passport(sheet: Sheet) -> None:
    security_lines(sheet, (232, 212, 214))
    sheet.row(60, Span(60, "РЕСПУБЛИКА УТОПИЯ", 32, "Serif-Bold", "red"), specimen(780, "ОБРАЗЕЦ"))
    authority = Span(240, "ОВД ГОР. ВЕРХНЕРЕЧЕНСКА", answers="authority")
    sheet.row(108, Span(60, "Паспорт выдан", 20, ink="label"), authority)
    issued = Span(60, "Дата выдачи", 20, ink="label"), Span(240, "17.05.2014", answers="date_of_issue")
    sheet.row(152, *issued, Span(490, "Код подразделения", 20, ink="label"), Span(715, "900-041"))
    portrait(sheet, 60, 200)
    content = """
        Фамилия        | ЖУРАВЛЁВА         | surname
        Имя            | КСЕНИЯ            | given_names
        Отчество       | АРКАДЬЕВНА        | patronymic
        Дата рождения  | 08.11.1993        | date_of_birth
        Место рождения | ПОС. ТИХАЯ ЗАВОДЬ | place_of_birth"""
    labelled(sheet, 340, 206, 80, content)
    number = Span(240, "90 14 302718", 30, ink="red", answers="document_number")
    sheet.row(640, Span(60, "Серия и номер", 20, ink="label"), number)


def _russian_licence(sheet: Sheet) -> None:
    security_lines(sheet, (236, 214, 226))
    sheet.row(58, Span(60, "ВОДИТЕЛЬСКОЕ УДОСТОВЕРЕНИЕ", 32, "Sans-Bold", "blue"))
    sheet.row(100, Span(60, "УТОПИЯ", 26, "Sans-Bold", "blue"), specimen(780, "ОБРАЗЕЦ"))
    portrait(sheet, 60, 140)
    content = """
        1.  | ПОДЪЯЧЕВ        | surname
        2.  | ИЛЬЯ ЩУКИНОВИЧ  | given_names
        3.  | 29.02.1988      | date_of_birth
            | ГОР. БЕЛОСНЕЖЬЕ | place_of_birth
        4a) | 14.07.2021      | date_of_issue
        4b) | 14.07.2031      | date_of_expiry
        4c) | ГИБДД 9907
        5.  | 99 07 615240    | document_number
        9.  | B, B1, M        | categories"""
    for n, (label, value, answers) in enumerate(rows(content)):
        number = [Span(330, label, 24, ink="label")] if label else []
        sheet.row(166 + n * 52, *number, Span(410, value, 30, answers=answers))


def _russian_student_card(sheet: Sheet) -> None:
    security_lines(sheet, (210, 220, 236))
    sheet.row(58, Span(60, "Белоснежский государственный университет", 28, "Serif-Bold", "blue"))
    number = Span(500, "2023-0471", 30, ink="red", answers="document_number")
    sheet.row(112, Span(60, "СТУДЕНЧЕСКИЙ БИЛЕТ №", 28, "Sans-Bold"), number, specimen(780, "ОБРАЗЕЦ"))
    portrait(sheet, 60, 160)
    content = """
        Фамилия     | Эйхенбаум-Цой          | surname
        Имя         | Юлия                   | given_names
        Отчество    | Вячеславовна           | patronymic
        Факультет   | Прикладной лингвистики | faculty
        Дата выдачи | 1 сентября 2023 г.     | date_of_issue"""  # noqa: RUF001 - Russian
    labelled(sheet, 340, 170, 80, content)
    sheet.row(590, Span(60, "Ректор", 20, ink="label"), Span(160, "Ф. Объедков", 28, "Serif-Italic", "blue"))


LANTERN = receipt(
    """
    | THE PAPER LANTERN   | company
    | 14 Harbour Lane     | address
    | Port Amity PA3 7QT  | address
    """,
    """
    Date          | 12/03/2024 | date
    Oat milk 1L   | 2.35
    Rye bread     | 3.10
    Apples 1.2 kg | 4.08
                  |
    Subtotal      | 9.53
    VAT 8 %       | 0.76       | tax
    TOTAL EUR     | 10.29      | total
    CASH          | 20.00      | cash
    CHANGE        | 9.71
    """,
    "| Thank you, come again! \n | SPECIMEN",
)
NORTHWIND = receipt(
    """
    | NORTHWIND HARDWARE     | company
    | Unit 5, 220 Quarry Road | address
    | Tel. 555 0142
    """,
    """
    Date                | 2023-11-05 | date
    Receipt no.         | 000318
                        |
    Wood screws 4x40    | 6.49
    Paint brush 50mm x2 | 11.98
    LED bulb 9W         | 7.25
                        |
    TOTAL               | $25.72     | total
    of which tax        | $1.96      | tax
    Card ****4471       | $25.72
    """,
    "| No refund without receipt \n | SPECIMEN",
    "faded",
)
QUINCE = receipt(
    """
    | Café Quince & Co.  | company
    | 3 Old Mill Square  | address
    | Table 7, 2 guests
    """,
    """
    Date           | 29 Feb 2024 | date
    Flat white     | 3,80
    Espresso       | 2,40
    Quince tart x2 | 9,60
                   |
    Service 10 %   | 1,58
    Total          | 17,38       | total
    Cash           | 20,00       | cash
    Change         | 2,62
    """,
    "| You were served by Ida \n | SPECIMEN",
)
SUNNY = receipt(
    """
    | SUNNY MART SDN BHD      | company
    | (Co. Reg. 1234567-X)
    | Lot 88, Jalan Pelangi 2 | address
    | 81900 Kota Khayal       | address
    | TAX INVOICE
    """,
    """
    Date             | 07/09/2022 | date
    Jasmine rice 5KG | 31.90
    Soy sauce 640ML  | 8.45
    Sambal 200G      | 6.70
                     |
    SST 6%           | 2.82       | tax
    Rounding         | -0.02
    Total RM         | 49.85      | total
    Cash             | 50.00      | cash
    Change           | 0.15
    """,
    "| SPECIMEN",
)
LIBRARY = form(
    "Application for a Library Card",
    "Form L-17, rev. 4",
    """
    Full name         | Tobias Mwangi-Larsen | name
    Date of birth     | 19/06/1979           | date_of_birth
    Street and number | 41 Juniper Terrace   | street
    Telephone         | +99 555 013 7788     | phone
    E-mail            | t.mwangi@example.org | email
    """,
    (
        (
            printed(70, "Card type:"),
            tick_box(240, "[X] Adult"),
            tick_box(470, "[ ] Child"),
            tick_box(700, "[ ] Family"),
        ),
        (printed(70, "I have read the rules of the library and agree to them."),),
        (
            printed(70, "Signed"),
            handwritten(180, "T. Mwangi-Larsen"),
            printed(640, "Date"),
            handwritten(720, "02/05/2024", "date_of_signature"),
        ),
    ),
)
PARCEL = form(
    "Customs Declaration for Parcels",
    "CN 23-S / Sheet 1 of 1",
    """
    Sender            | Hanne Östergård        | name
    Street and number | 7b Lighthouse Way      | street
    Contents          | 3 wool scarves, 1 book | contents
    Weight (kg)       | 1.450                  | weight
    Declared value    | EUR 86.50              | value
    Telephone         | 00 555 20 44 19        | phone
    """,
    (
        (tick_box(70, "[X] Gift"), tick_box(330, "[ ] Documents"), tick_box(660, "[ ] Merchandise")),
        (printed(70, "The particulars given above are correct."),),
    ),
)
PASSPORT_1 = _utopian_passport(
    """
    Surname        | VANTERPOOL  | surname
    Given names    | MIRA ELOISE | given_names
    Date of birth  | 14 MAR 1987 | date_of_birth
    Place of birth | PORT AMITY  | place_of_birth
    Sex            | F
    Date of expiry | 02 AUG 2031 | date_of_expiry
    """,
    "L8820147C",
    passport_mrz(Holder("VANTERPOOL", "MIRA<ELOISE", "L8820147C", "870314", "F", "310802")),
)
PASSPORT_2 = _utopian_passport(
    """
    Surname        | O'GRADY     | surname
    Given names    | FINN        | given_names
    Date of birth  | 01 DEC 2001 | date_of_birth
    Place of birth | SALTMARSH   | place_of_birth
    Sex            | M
    Date of expiry | 19 JAN 2029 | date_of_expiry
    """,
    "C01X00T47",
    passport_mrz(Holder("OGRADY", "FINN", "C01X00T47", "011201", "M", "290119")),
)
WHITE, CREAM, GREY, PINK, GREEN = "#fafaf8", "#f6f0e0", "#eeeeec", "#f8ecec", "#ecf4ee"
DOCUMENTS = [
    Document("receipt_1", "receipt", (560, 720), Scan(0.8, 0.6, 8, WHITE), LANTERN),
    Document("receipt_2", "receipt", (560, 700), Scan(-1.4, 0.7, 11, GREY), NORTHWIND),
    Document("receipt_3", "receipt", (560, 670), Scan(0.4, 0.8, 7, CREAM), QUINCE),
    Document("receipt_4", "receipt", (560, 720), Scan(-0.7, 0.5, 9, WHITE), SUNNY),
    Document("id_en_passport_1", "id en", (1010, 790), Scan(-0.5, 0.6, 7, GREEN), PASSPORT_1),
    Document("id_en_passport_2", "id en", (1010, 790), Scan(1.3, 0.9, 10, GREY), PASSPORT_2),
    Document("id_en_card", "id en", (1010, 710), Scan(0.3, 0.5, 8, CREAM), _utopian_card),
    Document("form_1", "form", (1080, 780), Scan(0.5, 0.6, 7, WHITE), LIBRARY),
    Document("form_2", "form", (1080, 790), Scan(-0.9, 0.7, 8, CREAM), PARCEL),
    Document("id_ru_passport", "id ru", (1000, 690), Scan(0.6, 0.6, 7, PINK), _russian_passport),
    Document("id_ru_licence", "id ru", (1000, 640), Scan(-1.1, 0.8, 9, PINK), _russian_licence),
    Document("id_ru_student", "id ru", (1000, 630), Scan(0.0, 0.5, 6, WHITE), _russian_student_card),
]
